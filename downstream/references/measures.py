"""Reference scores of one video's features. Deliberately plain: no label, no learning, ten lines each.

change = feature_change([features])                                # of a video in one part; long ones come in several
rows = compared_rows(len(features))
unlike = deviation([features], features[rows], rows)

Features are (snippets, places, dim): the cells of the picture, or a single place (crops are averaged before, see
`one_place`). A snippet's score is that of its highest place. Higher is stranger; no score is meant to lie in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Features = NDArray[Any]
"""(snippets, places, dim), of any float type."""
CHANGE_SNIPPETS = 5
"""Snippets that the change of features is averaged over."""
COMPARED_SNIPPETS = 256
"""Of its own video that a snippet is compared with, at most."""
NORMAL_SNIPPETS = 4096
"""Of normal training videos that a snippet is compared with, at most."""
NEIGHBOURS = 5
_ROWS = 1024
"""Snippets whose distances are in memory at a time."""


def one_place(features: Features) -> Features:
    """(snippets, crops, dim) -> (snippets, 1, dim): the mean vector over crops."""
    mean: Features = features.mean(axis=1, keepdims=True)
    return mean


def position(snippets: int) -> Floats:
    """(snippets,): the centre prior in time, 1 - |2 (i + 1/2) / S - 1|: highest in the middle of the video."""
    return 1 - np.abs((2 * np.arange(snippets) + 1) / snippets - 1)


def feature_change(parts: Iterable[Features]) -> Floats:
    """(snippets,): |x_t - x_(t-1)|, Euclidean, averaged over 5 snippets. `parts`: the video, in order.

    The first snippet, which has none before it, takes the second one's; a video of one snippet has 0.
    """
    changes = []
    last: Features | None = None
    for part in parts:
        values = np.asarray(part, np.float64)
        before = np.concatenate([values[:1] if last is None else last, values[:-1]])
        changes.append(np.sqrt(((values - before) ** 2).sum(axis=2)).max(axis=1))
        last = values[-1:].copy()
    change: Floats = np.concatenate(changes)
    change[:1] = change[1:2] if len(change) > 1 else 0.0
    return moving_mean(change, CHANGE_SNIPPETS)


def compared_rows(snippets: int) -> NDArray[np.int64]:
    """Which snippets of a video the others are compared with: all, or 256 evenly spaced ones."""
    count = min(snippets, COMPARED_SNIPPETS)
    return np.unique(np.linspace(0, snippets - 1, count).round().astype(np.int64))


def deviation(parts: Iterable[Features], others: Features, rows: NDArray[np.int64]) -> Floats:
    """(snippets,): median Euclidean distance to the video's other snippets, each place to the same place.

    `others`: the snippets (of number `rows`) that all are compared with; none is compared with itself.
    """
    found: list[Floats] = []
    first = 0
    for part in _short(parts):
        distances = np.stack([_distances(part[:, p], others[:, p]) for p in range(part.shape[1])], axis=1)
        found.append(_median_of_others(distances, first, rows).max(axis=1))
        first += len(part)
    return np.concatenate(found)


@dataclass(frozen=True, eq=False)
class NormalSnippets:
    """Snippets of normal training videos, standardised by themselves: what `normal_distance` measures from."""

    vectors: Floats
    """(at most 4,096, dim): standardised."""
    mean: Floats
    """(dim,)"""
    deviation: Floats
    """(dim,): standard deviation; 1 for numbers that never change."""

    @staticmethod
    def of(vectors: Features) -> NormalSnippets:
        """`vectors` (snippets, dim), as drawn."""
        values = np.asarray(vectors, np.float64)
        spread = values.std(axis=0)
        # a mean is rounded, so that numbers that never change may seem to by a hair
        spread = np.where(spread > 1e-12 * np.abs(values).max(axis=0, initial=0), spread, 1.0)
        mean = values.mean(axis=0)
        return NormalSnippets((values - mean) / spread, mean, spread)


def draw_normal(snippets: int, places: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of so many normal snippets are kept (in order, at most 4,096), and which place of each."""
    kept = np.sort(rng.choice(snippets, min(snippets, NORMAL_SNIPPETS), replace=False))
    return kept, rng.integers(places, size=len(kept))


def normal_distance(parts: Iterable[Features], normal: NormalSnippets) -> Floats:
    """(snippets,): mean Euclidean distance to the 5 nearest normal snippets, of whatever place."""
    nearest = min(NEIGHBOURS, len(normal.vectors))
    found = []
    for part in _short(parts):
        rows = ((part - normal.mean) / normal.deviation).reshape(-1, part.shape[2])
        means = [_mean_of_lowest(_distances(some, normal.vectors), nearest) for some in _pieces(rows)]
        found.append(np.concatenate(means).reshape(len(part), -1).max(axis=1))
    return np.concatenate(found)


def moving_mean(values: Floats, window: int) -> Floats:
    """(n,): the mean of `window` values around each; at the ends of those that there are."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - window // 2, 0), np.minimum(index + (window + 1) // 2, len(values))
    mean: Floats = (total[high] - total[low]) / (high - low)
    return mean


def _short(parts: Iterable[Features]) -> Iterable[Floats]:
    for part in parts:
        for start in range(0, len(part), _ROWS):
            yield np.asarray(part[start : start + _ROWS], np.float64)


def _pieces(rows: Floats) -> Iterable[Floats]:
    return (rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS))


def _mean_of_lowest(distances: Floats, count: int) -> Floats:
    lowest: Floats = np.partition(distances, count - 1, axis=1)[:, :count].mean(axis=1)
    return lowest


def _distances(first: Features, second: Features) -> Floats:
    """(m, n): Euclidean, of vectors (m, dim) and (n, dim)."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0))


def _median_of_others(distances: Floats, first: int, rows: NDArray[np.int64]) -> Floats:
    """(n, places): medians of distances (n, places, others) of the snippets from number `first` on."""
    medians: Floats = np.median(distances, axis=2)
    own = np.flatnonzero((rows >= first) & (rows < first + len(distances)))
    at = rows[own] - first
    alone = distances[at, :, :]
    alone[np.arange(len(own)), :, own] = -np.inf  # itself: sorted to the front and left out
    rest = np.sort(alone, axis=2)[:, :, 1:]
    medians[at] = np.median(rest, axis=2) if rest.shape[2] else 0.0
    return medians
