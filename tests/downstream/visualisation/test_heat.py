from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from downstream.scores.video_scores import make_scores
from downstream.visualisation.heat import (
    CONTOUR_COLOURS,
    CONTOURS,
    FAINT,
    UNSEEN,
    HeatRange,
    blend_heat,
    contour_scores,
    draw_contours,
    heat_colours,
    heat_range,
    to_heat,
)
from pretrain.errors import UserError
from tests.downstream.visualisation.drawn import hot_cell

FLOATS = st.floats(-50, 50, width=32)


def test_heat_goes_from_the_median_to_the_highest_cell() -> None:
    heat = heat_range([hot_cell(3, {1: 0.9}), hot_cell(2, {0: 2.5})], threshold=0.5)
    assert heat == pytest.approx((0.1, 2.5))


def test_a_video_below_the_threshold_does_not_glow() -> None:
    calm = hot_cell(4, {2: 0.2})
    assert calm.map is not None
    heat = heat_range([calm], threshold=0.9)
    assert heat.high == 0.9
    odds = np.log([0.1 / 0.9, 0.2 / 0.8, 0.9 / 0.1])
    assert to_heat(calm.map.scores, *heat).max() == pytest.approx((odds[1] - odds[0]) / (odds[2] - odds[0]))


def test_cells_of_a_sure_detector_are_told_apart() -> None:
    scores = np.array([0.5, 0.99, 0.9999], np.float32)
    heat = to_heat(scores, 0.5, 0.9999)
    assert 0.4 < heat[1] < 0.6


def test_heat_range_without_score_maps_names_the_videos() -> None:
    with pytest.raises(UserError, match=r"no score map of \['flat'\]; heat needs a detector that scores cells"):
        heat_range([hot_cell(1, {}), make_scores("flat", [0.5], [0, 8])], 0.5)
    with pytest.raises(UserError, match="no score map of any video"):
        heat_range([], 0.5)


@example([1.0], 0.0, 2.9e-30)
@given(st.lists(FLOATS, min_size=1, max_size=20), FLOATS, FLOATS)
def test_heat_lies_within_0_and_1_and_keeps_the_order(values: list[float], low: float, high: float) -> None:
    scores = np.sort(np.array(values, np.float32))
    heat = to_heat(scores, low, high)
    assert heat.dtype == np.float32
    assert ((heat >= 0) & (heat <= 1)).all()
    assert (np.diff(heat) >= 0).all()
    if high > low:
        assert (heat[scores >= high] == 1).all()
        assert (heat[scores <= low] == 0).all()


def test_faint_scores_leave_the_footage_and_stronger_ones_never_show_more_of_it() -> None:
    _, opacity = heat_colours()
    assert (opacity[: int(FAINT * 255)] == 0).all()
    assert (np.diff(opacity.astype(int)) >= 0).all()
    assert 128 < opacity[-1] < 255  # the hottest place is still to be recognised


def test_contours_go_round_the_hot_cell_and_leave_the_footage_as_it_is() -> None:
    picture = Image.new("RGB", (120, 80), (200, 200, 200))
    heat = np.zeros((4, 6), np.float32)
    heat[1, 2] = 1
    out = np.asarray(draw_contours(picture, heat, (0, 0, 120, 80), 2)).astype(int)
    for colour in CONTOUR_COLOURS:
        lines = (out == [int(colour[at : at + 2], 16) for at in (1, 3, 5)]).all(axis=2)
        rows, columns = np.nonzero(lines)
        assert len(rows) > 10
        assert rows.min() < 30 < rows.max()
        assert columns.min() < 50 < columns.max()
        assert (abs(rows - 30) < 20).all()
        assert (abs(columns - 50) < 20).all()
    assert np.abs(out[30, 50] - 200).max() < 30  # inside: a tint alone
    assert (out[50:, 80:] == 200).all()
    assert (np.asarray(picture) == 200).all()


def test_legends_say_the_scores_that_contours_are_at() -> None:
    heat = HeatRange(0.1, 0.999)
    scores = [score for score, _ in contour_scores(heat)]
    assert to_heat(np.array(scores, np.float32), *heat) == pytest.approx(CONTOURS, abs=1e-3)
    assert [score for score, _ in contour_scores(HeatRange(0.0, 2.0))] == pytest.approx([2 * c for c in CONTOURS])
    assert contour_scores(HeatRange(0.5, 0.5)) == []


def test_each_cell_has_its_colour_at_its_centre_and_the_border_is_dimmed() -> None:
    picture = Image.new("RGB", (80, 60), (200, 200, 200))
    heat = np.zeros((2, 3), np.float32)
    heat[1, 2] = 1
    out = np.asarray(blend_heat(picture, heat, (10, 10, 70, 50)))
    colours, opacity = heat_colours()
    share = opacity[-1] / 255
    assert out[40, 60] == pytest.approx(colours[-1] * share + 200 * (1 - share), abs=2)  # its centre, or a pixel beside
    assert (out[20, [20, 40, 60]] == 200).all()
    assert (out[40, [20]] == 200).all()
    border = np.ones((60, 80), bool)
    border[10:50, 10:70] = False
    assert (out[border] == 200 * UNSEEN).all()
    assert (np.asarray(picture) == 200).all()  # the given picture stays as it is
