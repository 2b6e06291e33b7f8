"""From scores of cells to boxes, and from boxes to tubes.

Within a snippet, cells at or over a threshold that touch each other (also by a corner) are one region, and a box is
drawn round it. Boxes of successive snippets that overlap are one tube: the same thing, followed over time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from downstream.scores.cell_geometry import PixelBox, box_of, iou
from downstream.scores.score_map import ScoreMap
from pretrain.errors import UserError, problem_list


@dataclass(frozen=True, kw_only=True)
class BoxSettings:
    """How boxes become tubes."""

    min_overlap: float = 0.1
    """Intersection over union from which boxes of successive snippets are one tube."""
    max_gap: int = 1
    """Snippets in a row that a tube may be without a box."""
    min_snippets: int = 1
    """Tubes with boxes in fewer snippets are left out."""

    def __post_init__(self) -> None:
        limits = {
            "min_overlap": (0 < self.min_overlap <= 1, "above 0, at most 1"),
            "max_gap": (self.max_gap >= 0, "0 or more"),
            "min_snippets": (self.min_snippets >= 1, "at least 1"),
        }
        wrong = [
            f"{name} is {getattr(self, name)}; it must be {limit}" for name, (fine, limit) in limits.items() if not fine
        ]
        if wrong:
            raise UserError(f"{len(wrong)} problem(s) in the settings of boxes:\n{problem_list(wrong)}")


@dataclass(frozen=True, slots=True)
class ScoredBox:
    """A box in one snippet; `score` is that of its highest cell."""

    snippet: int
    box: PixelBox
    score: float


@dataclass(frozen=True, slots=True)
class Tube:
    """Boxes of one thing over time, at most one a snippet, in order; `score` is that of its best box."""

    number: int
    """From 0, in the order in which tubes begin."""
    score: float
    boxes: tuple[ScoredBox, ...]


def find_boxes(score_map: ScoreMap, threshold: float) -> list[list[ScoredBox]]:
    """The boxes of each snippet round cells with `score >= threshold`, best first; ties: top-left first.

    UserError where the threshold is not a number.
    """
    if math.isnan(threshold):
        raise UserError("the threshold of boxes is nan; it must be a number")
    rows, columns = score_map.edges()
    found: list[list[ScoredBox]] = [[] for _ in score_map.scores]
    # np.float64: against a plain float numpy would round the threshold to float32 first, and 0.7 is not the same there
    over = score_map.scores >= np.float64(threshold)
    for snippet in np.flatnonzero(over.any(axis=(1, 2))).tolist():
        scores = score_map.scores[snippet]
        boxes = [
            ScoredBox(snippet, box_of(cells, rows, columns), float(scores[cells].max()))
            for cells in components(over[snippet])
        ]
        found[snippet] = sorted(boxes, key=lambda each: (-each.score, each.box.y1, each.box.x1))
    return found


def components(over: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
    """bool (rows, columns) -> the same shape for each region of cells that touch, by a side or by a corner.

    In the order of their first cells, row by row.
    """
    height, width = over.shape
    stride = width + 1  # cells by one number each; the empty column more keeps row ends from touching the next row
    left = {row * stride + column for row, column in np.argwhere(over).tolist()}
    for first in sorted(left):
        if first not in left:
            continue
        left.remove(first)
        region = [first]
        for cell in region:  # grows as it is walked
            touching = [cell + down + across for down in (-stride, 0, stride) for across in (-1, 0, 1)]
            fresh = [other for other in touching if other in left]
            left.difference_update(fresh)
            region += fresh
        cells = np.zeros((height, stride), bool)
        cells.flat[region] = True
        yield cells[:, :width]


def link(boxes: Sequence[Sequence[ScoredBox]], settings: BoxSettings) -> list[Tube]:
    """Tubes out of the boxes of every snippet (one entry a snippet, empty ones too), in the order in which they begin.

    Greedy: of all open tubes' last boxes and the next snippet's boxes, the pair that overlaps most is joined first.
    Ties: the tube whose last box is newer, then the one that began earlier, then the better box.
    """
    tubes: list[list[ScoredBox]] = []
    open_tubes: list[list[ScoredBox]] = []
    for snippet, found in enumerate(boxes):
        open_tubes = [tube for tube in open_tubes if snippet - tube[-1].snippet <= settings.max_gap + 1]
        joined = _join(open_tubes, found, settings.min_overlap)
        for index, box in enumerate(found):
            if index in joined:
                open_tubes[joined[index]].append(box)
        begun = [[box] for index, box in enumerate(found) if index not in joined]
        open_tubes += begun
        tubes += begun
    kept = [tube for tube in tubes if len(tube) >= settings.min_snippets]
    return [Tube(number, max(box.score for box in tube), tuple(tube)) for number, tube in enumerate(kept)]


def _join(tubes: Sequence[Sequence[ScoredBox]], found: Sequence[ScoredBox], min_overlap: float) -> dict[int, int]:
    """For boxes that continue a tube: index of the box -> index of the tube."""
    if not tubes or not found:
        return {}
    overlaps = iou([tube[-1].box for tube in tubes], [each.box for each in found])
    pairs = np.argwhere(overlaps >= min_overlap).tolist()
    pairs.sort(key=lambda pair: (-overlaps[pair[0], pair[1]], -tubes[pair[0]][-1].snippet, *pair))
    joined: dict[int, int] = {}
    taken: set[int] = set()
    for tube, box in pairs:
        if tube not in taken and box not in joined:
            taken.add(tube)
            joined[box] = tube
    return joined
