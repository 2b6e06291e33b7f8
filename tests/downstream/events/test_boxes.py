from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from downstream.events.boxes import BoxSettings, ScoredBox, Tube, components, find_boxes, link
from downstream.scores.cell_geometry import PixelBox, iou
from downstream.scores.score_map import ScoreMap
from pretrain.errors import UserError

GRIDS = st.tuples(st.integers(1, 7), st.integers(1, 7))
MASKS = GRIDS.flatmap(lambda grid: arrays(bool, grid))
LEVELS = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
MAPS = st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=LEVELS.map(np.float64))
)


def score_map(scores: object) -> ScoreMap:
    """10 pixels a cell, the grid 5 pixels right of and 3 below the picture's corner."""
    array = np.array(scores, np.float64)
    _, rows, columns = array.shape
    return ScoreMap(array, (10 * columns + 8, 10 * rows + 8), (5, 3, 5 + 10 * columns, 3 + 10 * rows))


def slow_components(over: NDArray[np.bool_]) -> set[frozenset[tuple[int, int]]]:
    """Every cell a group of its own; groups that touch are merged until none does."""
    groups = [{(int(row), int(column))} for row, column in np.argwhere(over)]

    def touch(a: set[tuple[int, int]], b: set[tuple[int, int]]) -> bool:
        return any(max(abs(r - s), abs(c - d)) <= 1 for r, c in a for s, d in b)

    while pair := next(((a, b) for a in groups for b in groups if a is not b and touch(a, b)), None):
        groups = [group for group in groups if group is not pair[0] and group is not pair[1]]
        groups.append(pair[0] | pair[1])
    return {frozenset(group) for group in groups}


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_components_are_those_of_the_slow_reference_and_share_no_cell(over: NDArray[np.bool_]) -> None:
    found = list(components(over))
    assert {frozenset((int(r), int(c)) for r, c in np.argwhere(cells)) for cells in found} == slow_components(over)
    assert np.array_equal(np.sum(found, axis=0) if found else np.zeros(over.shape), over.astype(int))


@settings(max_examples=60, deadline=None)
@given(MAPS, LEVELS)
def test_every_cell_over_the_threshold_is_in_a_box_and_no_box_is_without_one(
    scores: NDArray[np.float64], threshold: float
) -> None:
    made = score_map(scores)
    rows, columns = made.edges()
    found = find_boxes(made, threshold)
    assert len(found) == len(scores)
    for snippet, boxes in enumerate(found):
        over = scores[snippet] >= threshold
        regions = list(components(over))
        assert len(boxes) == len(regions)
        assert [box.score for box in boxes] == sorted((scores[snippet][cells].max() for cells in regions), reverse=True)
        for box in boxes:
            assert box.snippet == snippet
            down = (rows[:-1] >= box.box.y1) & (rows[1:] <= box.box.y2)
            across = (columns[:-1] >= box.box.x1) & (columns[1:] <= box.box.x2)
            inside = over & down[:, None] & across
            assert any(not (cells & ~inside).any() and scores[snippet][cells].max() == box.score for cells in regions)


def test_boxes_by_hand_best_first_then_top_left_first() -> None:
    scores = [
        [[0.9, 0.0, 0.0, 0.7], [0.0, 0.7, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.7, 0.0, 0.0, 0.95]],
        [[0.1] * 4] * 4,
    ]
    first, second = find_boxes(score_map(scores), 0.5)
    assert [tuple(each.box) for each in first] == [(35, 33, 45, 43), (5, 3, 25, 23), (35, 3, 45, 13), (5, 33, 15, 43)]
    assert [each.score for each in first] == [float(np.float64(value)) for value in (0.95, 0.9, 0.7, 0.7)]
    assert second == []
    hook = [[0, 0, 1, 0, 1], [0, 0, 0, 0, 1], [1, 1, 1, 1, 0]]  # reaches further left than the dot in its arm
    assert [each.box.x1 for each in find_boxes(score_map([hook]), 1)[0]] == [5, 25]


def test_cells_of_one_rows_end_and_the_nexts_beginning_do_not_touch() -> None:
    assert len(list(components(np.array([[0, 0, 1], [1, 0, 0]], bool)))) == 2


def test_the_threshold_is_not_rounded() -> None:
    below = float(np.nextafter(0.7, 0))
    assert find_boxes(score_map([[[below]]]), 0.7) == [[]]
    assert len(find_boxes(score_map([[[below]]]), below)[0]) == 1
    with pytest.raises(UserError, match="threshold of boxes is nan"):
        find_boxes(score_map([[[below]]]), float("nan"))


def at(snippet: int, x: float, score: float = 0.5, width: float = 10) -> ScoredBox:
    return ScoredBox(snippet, PixelBox(x, 0, x + width, 10), score)


def linked(boxes: list[list[ScoredBox]], **chosen: float) -> list[Tube]:
    return link(boxes, BoxSettings(**chosen))  # type: ignore[arg-type]


def test_the_best_pair_is_joined_first() -> None:
    left, right = at(0, 0, 0.9), at(0, 4, 0.3)
    moved = at(1, 3, 0.8)  # overlaps both, the right one more, though the left one scores higher
    tubes = linked([[left, right], [moved]])
    assert [tube.boxes for tube in tubes] == [(left,), (right, moved)]
    assert [(tube.number, tube.score) for tube in tubes] == [(0, 0.9), (1, 0.8)]


def test_one_box_is_never_in_two_tubes_nor_two_in_one() -> None:
    split = [[at(0, 0)], [at(1, 0, 0.9), at(1, 1, 0.8)], [at(2, 0)]]
    first, second = linked(split)
    assert [box.score for box in first.boxes] == [0.5, 0.9, 0.5]
    assert second.boxes == (at(1, 1, 0.8),)


def test_gaps_overlap_and_short_tubes() -> None:
    seen = [[at(0, 0)], [], [at(2, 0)], [], [], [at(5, 0)]]
    assert [len(tube.boxes) for tube in linked(seen, max_gap=0)] == [1, 1, 1]
    assert [len(tube.boxes) for tube in linked(seen, max_gap=1)] == [2, 1]
    assert [len(tube.boxes) for tube in linked(seen, max_gap=2)] == [3]
    short_first = [[at(0, 50)], [at(1, 0)], [at(2, 0)]]
    assert [(tube.number, len(tube.boxes)) for tube in linked(short_first)] == [(0, 1), (1, 2)]
    assert [(tube.number, len(tube.boxes)) for tube in linked(short_first, min_snippets=2)] == [(0, 2)]
    third = [[at(0, 0)], [at(1, 5)]]  # 5 of 15 pixels
    assert len(linked(third, min_overlap=1 / 3)) == 1
    assert len(linked(third, min_overlap=0.34)) == 2


def test_of_equal_overlaps_the_newer_box_continues() -> None:
    old, newer, last = at(0, 0), at(1, 40), at(2, 20, width=10)
    wide_old, wide_newer = at(0, 10, width=15), at(1, 25, width=15)  # 5 of 20 pixels each
    assert [tube.boxes for tube in linked([[wide_old], [wide_newer], [last]])] == [(wide_old,), (wide_newer, last)]
    assert len(linked([[old], [newer], [last]])) == 3


@settings(max_examples=60, deadline=None)
@given(MAPS, LEVELS, st.sampled_from([0.1, 0.5, 1.0]), st.integers(0, 2))
def test_every_box_is_in_exactly_one_tube_and_links_keep_to_the_settings(
    scores: NDArray[np.float64], threshold: float, overlap: float, gap: int
) -> None:
    boxes = find_boxes(score_map(scores), threshold)
    tubes = linked(boxes, min_overlap=overlap, max_gap=gap)
    assert Counter(box for tube in tubes for box in tube.boxes) == Counter(box for found in boxes for box in found)
    for tube in tubes:
        steps = np.diff([box.snippet for box in tube.boxes])
        assert ((steps >= 1) & (steps <= gap + 1)).all()
        pairs = zip(tube.boxes, tube.boxes[1:], strict=False)
        assert all(iou(first.box, second.box)[0, 0] >= overlap for first, second in pairs)
        assert tube.score == max(box.score for box in tube.boxes)
    assert [tube.number for tube in tubes] == list(range(len(tubes)))
    starts = [tube.boxes[0].snippet for tube in tubes]
    assert starts == sorted(starts)


def test_settings_say_all_that_is_wrong() -> None:
    with pytest.raises(UserError) as caught:
        BoxSettings(min_overlap=0, max_gap=-1, min_snippets=0)
    for part in ("min_overlap is 0; it must be above 0, at most 1", "max_gap is -1", "min_snippets is 0"):
        assert part in str(caught.value)
