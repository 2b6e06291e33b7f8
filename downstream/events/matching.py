"""From scores to events, and whether they are the annotated ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Event(NamedTuple):
    """Frames `[start, end)` that were called anomalous, and their highest score."""

    start: int
    end: int
    peak: float


def find_events(
    scores: NDArray[np.float64],
    edges: NDArray[np.int64],
    threshold: float,
    merge_gap_frames: int = 0,
    min_frames: int = 1,
) -> list[Event]:
    """Maximal runs of snippets with `score >= threshold`, in order.

    Runs that are at most `merge_gap_frames` apart become one, then events of fewer than `min_frames` are left out.
    `scores` (S,), `edges` (S + 1,) as in `VideoScores`.
    """
    over = np.concatenate([[0], (scores >= threshold).astype(np.int8), [0]])
    changes = np.flatnonzero(np.diff(over))
    merged: list[Event] = []
    for first, past in zip(changes[::2], changes[1::2], strict=True):
        event = Event(int(edges[first]), int(edges[past]), float(scores[first:past].max()))
        if merged and event.start - merged[-1].end <= merge_gap_frames:
            merged[-1] = Event(merged[-1].start, event.end, max(merged[-1].peak, event.peak))
        else:
            merged.append(event)
    return [event for event in merged if event.end - event.start >= min_frames]


def overlap(first: tuple[int, int], second: tuple[int, int]) -> float:
    """Intersection over union of two half-open spans, 0 to 1."""
    common = min(first[1], second[1]) - max(first[0], second[0])
    if common <= 0:
        return 0.0
    return common / (first[1] - first[0] + second[1] - second[0] - common)


def count_matches(predicted: Sequence[tuple[int, int]], annotated: Sequence[tuple[int, int]], iou: float) -> int:
    """How many pairs match one to one with an overlap of at least `iou`.

    Greedy: the pair that overlaps most is taken first (ties: the earlier spans), and neither is used again.
    """
    pairs = [(overlap(p, a), i, j) for i, p in enumerate(predicted) for j, a in enumerate(annotated)]
    used_predicted: set[int] = set()
    used_annotated: set[int] = set()
    for value, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if value < iou or value == 0:
            break
        if i not in used_predicted and j not in used_annotated:
            used_predicted.add(i)
            used_annotated.add(j)
    return len(used_predicted)
