from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.scores.cell_geometry import box_of, centres_in, covered, iou, union_pixels
from downstream.scores.score_map import Floats, ScoreMap

WIDTH, HEIGHT = 20, 15


def pairs(low: float, high: float) -> st.SearchStrategy[tuple[float, float]]:
    """Two different numbers in order, in steps of a third: neither cells' borders nor binary fractions."""
    return st.tuples(st.integers(round(3 * low), round(3 * high)), st.integers(1, round(3 * (high - low)))).map(
        lambda given: (given[0] / 3, (given[0] + given[1]) / 3)
    )


def boxes(low: float = -5, high: float = 25) -> st.SearchStrategy[tuple[float, float, float, float]]:
    return st.tuples(pairs(low, high), pairs(low, high)).map(lambda s: (s[0][0], s[1][0], s[0][1], s[1][1]))


@st.composite
def grids(draw: st.DrawFn) -> tuple[Floats, Floats]:
    """Borders of rows and columns of some part of a picture."""
    x1, y1 = draw(st.integers(0, WIDTH - 1)), draw(st.integers(0, HEIGHT - 1))
    x2, y2 = draw(st.integers(x1 + 1, WIDTH)), draw(st.integers(y1 + 1, HEIGHT))
    rows, columns = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    return ScoreMap(np.zeros((1, rows, columns), np.float64), (WIDTH, HEIGHT), (x1, y1, x2, y2)).edges()


@st.composite
def pixel_grids(draw: st.DrawFn) -> tuple[Floats, Floats]:
    """Borders on whole pixels."""
    rows = sorted(draw(st.sets(st.integers(0, HEIGHT), min_size=2, max_size=5)))
    columns = sorted(draw(st.sets(st.integers(0, WIDTH), min_size=2, max_size=5)))
    return np.array(rows, float), np.array(columns, float)


PIXEL_BOXES = st.tuples(*[st.integers(-3, 24)] * 4).map(
    lambda s: (min(s[0], s[2]), min(s[1], s[3]), max(s[0], s[2]) + 1, max(s[1], s[3]) + 1)
)


@settings(deadline=None)
@given(boxes(), grids())
def test_box_of_the_cells_of_a_box_holds_what_was_seen_of_it(
    box: tuple[float, float, float, float], grid: tuple[Floats, Floats]
) -> None:
    rows, columns = grid
    cells = (covered(box, rows, columns) > 0)[0]
    x1, x2 = np.clip(box[::2], columns[0], columns[-1])
    y1, y2 = np.clip(box[1::2], rows[0], rows[-1])
    assert cells.any() == (x1 < x2 and y1 < y2)
    if not cells.any():
        return
    found = box_of(cells, rows, columns)
    assert found.x1 <= x1
    assert found.y1 <= y1
    assert found.x2 >= x2
    assert found.y2 >= y2
    again = (covered(found, rows, columns) > 0)[0]
    assert np.array_equal(again, cells)  # nothing is added by going to and fro


@settings(max_examples=60, deadline=None)
@given(st.lists(PIXEL_BOXES, max_size=5), pixel_grids())
def test_union_and_cover_count_the_pixels(
    given_boxes: list[tuple[int, int, int, int]], grid: tuple[Floats, Floats]
) -> None:
    rows, columns = grid
    picture = np.zeros((len(given_boxes), HEIGHT, WIDTH), int)
    for layer, (x1, y1, x2, y2) in zip(picture, given_boxes, strict=True):
        layer[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)] = 1

    def counted(layer: np.ndarray) -> list[list[int]]:
        downs = list(zip(rows[:-1].astype(int), rows[1:].astype(int), strict=True))
        acrosses = list(zip(columns[:-1].astype(int), columns[1:].astype(int), strict=True))
        return [[int(layer[top:bottom, left:right].sum()) for left, right in acrosses] for top, bottom in downs]

    assert union_pixels(given_boxes, rows, columns).tolist() == counted(picture.any(axis=0).astype(int))
    assert covered(given_boxes, rows, columns).tolist() == [counted(layer) for layer in picture]


@settings(deadline=None)
@given(st.lists(boxes(), min_size=1, max_size=4), st.lists(boxes(), min_size=1, max_size=4))
def test_iou_is_symmetric_between_0_and_1_and_1_for_the_box_itself(
    first: list[tuple[float, float, float, float]], second: list[tuple[float, float, float, float]]
) -> None:
    values = iou(first, second)
    assert values.shape == (len(first), len(second))
    assert np.allclose(values, iou(second, first).T, rtol=1e-12, atol=0)
    assert ((values >= 0) & (values <= 1)).all()
    assert (np.diag(iou(first, first)) == 1).all()


def test_iou_by_hand() -> None:
    values = iou([(0, 0, 10, 10), (0, 0, 2, 2)], [(5, 5, 15, 15), (10, 0, 20, 10), (0, 0, 10, 20)])
    assert np.allclose(values, [[25 / 175, 0, 0.5], [0, 0, 4 / 200]])
    assert iou((3, 3, 3, 3), (3, 3, 3, 3)).tolist() == [[0]]  # no area: no overlap, and no division by 0


def test_cells_whose_centre_lies_in_a_box() -> None:
    rows = columns = np.array([0.0, 10, 20])
    assert centres_in((0, 0, 15, 5), rows, columns).tolist() == [[False, False], [False, False]]  # 5 is exclusive
    assert centres_in((5, 5, 15, 6), rows, columns).tolist() == [[True, False], [False, False]]
    assert centres_in([(5, 5, 16, 6), (0, 15, 6, 16)], rows, columns).tolist() == [[True, True], [True, False]]
    assert not centres_in([], rows, columns).any()
