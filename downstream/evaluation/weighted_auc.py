"""AUCs of a set in which each video counts w times: the value itself (all ones) and every bootstrap draw.

An AUC is a sum over pairs of videos: `wins[u, v]` = pairs of an anomalous frame of u and a normal frame of v which the
scores put right, ties half. So `w @ wins @ w` over the number of pairs is the AUC of any draw, of any subset of videos,
exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Values = dict[str, Floats]
"""Metric -> (draws,); NaN where not defined."""


class Counted(Protocol):
    """What an AUC is of: scores, and how much each stands for of either kind (frames, cells, pixels), all (S,)."""

    @property
    def scores(self) -> NDArray[Any]: ...
    @property
    def positive(self) -> NDArray[Any]: ...
    @property
    def negative(self) -> NDArray[Any]: ...


def pair_wins(videos: Sequence[Counted]) -> Floats:
    """(videos, videos): pairs (anomalous frame of u, normal frame of v) in which u's scores higher; ties half.

    Anomalous entries are few: each video's normal ones are sorted, and all anomalous ones find their place among them.
    """
    scores = np.concatenate([video.scores for video in videos])
    first = np.concatenate([[0], np.cumsum([len(video.scores) for video in videos])])
    _, rank = np.unique(scores, return_inverse=True)  # equal scores, equal ranks
    positive = np.concatenate([video.positive for video in videos]).astype(np.float64)
    chosen = np.flatnonzero(positive)
    owner = np.searchsorted(first, chosen, side="right") - 1
    wins = np.zeros((len(videos), len(videos)))
    for v, video in enumerate(videos):
        own = rank[first[v] : first[v + 1]]
        order = np.argsort(own, kind="stable")
        before = np.concatenate([[0.0], np.cumsum(np.asarray(video.negative, np.float64)[order])])
        lower, not_higher = (before[np.searchsorted(own[order], rank[chosen], side=side)] for side in ("left", "right"))
        beaten = (lower + not_higher) / 2
        wins[:, v] = np.bincount(owner, weights=positive[chosen] * beaten, minlength=len(videos))
    return wins


def weighted_auc(wins: Floats, videos: Sequence[Counted], rows: Floats, columns: Floats) -> Floats:
    """Anomalous frames counted by `rows`, normal ones by `columns`, both (draws, videos)."""
    positive = rows @ np.array([video.positive.sum() for video in videos], np.float64)
    negative = columns @ np.array([video.negative.sum() for video in videos], np.float64)
    return ratio(((rows @ wins) * columns).sum(axis=1), positive * negative)


def ratio(over: Floats, under: Floats) -> Floats:
    """NaN where the denominator is 0."""
    return np.divide(over, under, out=np.full(len(over), np.nan), where=under > 0)
