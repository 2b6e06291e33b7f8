"""Whether events are the annotated ones: overlap in time, matched one to one."""

from __future__ import annotations

from collections.abc import Sequence


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


def count_touches(predicted: Sequence[tuple[int, int]], annotated: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """How many annotated spans any event touches, were it in one frame, and how many events touch none of them."""
    found = sum(any(overlap(p, a) for p in predicted) for a in annotated)
    return found, sum(not any(overlap(p, a) for a in annotated) for p in predicted)
