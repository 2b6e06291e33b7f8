from __future__ import annotations

import numpy as np
import pytest

from downstream.events.alarm_level import own_scale
from downstream.scores.video_scores import VideoScores, make_scores
from downstream.visualisation.heat import HeatRange
from downstream.visualisation.pictures import EVENT, FOUND
from downstream.visualisation.score_bar import BRACKET, HEAD, PLOT, SPAN, ScoreBar, column_peaks

LEVELS = own_scale(np.array([0.1, 0.2, 0.5]))


def pixels(bar: ScoreBar, colour: str, frame: int = 0) -> np.ndarray:
    """Where the bar has just this colour: bool (height, width)."""
    return (np.asarray(bar.at(frame)) == [int(colour[at : at + 2], 16) for at in (1, 3, 5)]).all(axis=2)


def steps(values: list[float]) -> VideoScores:
    return make_scores("v", values, np.arange(len(values) + 1) * 10)


def test_no_peak_is_lost_where_snippets_are_finer_than_pixels() -> None:
    scores = make_scores("v", np.where(np.arange(1000) == 617, 1.0, 0.1), np.arange(1001) * 4)
    peaks = column_peaks(scores, 4000, 100)
    assert np.flatnonzero(peaks == 1).tolist() == [61]
    few = column_peaks(make_scores("v", [0.1, 0.9], [0, 10, 20]), 25, 10)
    assert few.tolist() == [0.1] * 4 + [0.9] * 6  # frames 20 to 25 have the last score


def test_sure_scores_are_not_one_flat_line() -> None:
    bar = ScoreBar(200, steps([0.99, 0.9999, 0.999999]), np.arange(30) / 25, threshold=None, levels=LEVELS)
    curve = pixels(bar, FOUND)
    rows = [int(np.flatnonzero(curve[:, x]).mean()) for x in (30, 100, 170)]
    assert rows[0] - rows[1] > 20
    assert rows[1] - rows[2] > 20


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_the_threshold_lies_between_what_reaches_it_and_what_does_not(threshold: float) -> None:
    below, above = threshold - 0.1, threshold + 0.05
    plain = ScoreBar(200, steps([below, above, below]), np.arange(30) / 25, threshold=None, levels=LEVELS)
    lined = ScoreBar(200, steps([below, above, below]), np.arange(30) / 25, threshold=threshold, levels=LEVELS)
    (rows,) = np.nonzero((np.asarray(plain.at(0)) != np.asarray(lined.at(0))).any(axis=(1, 2)))
    curve = pixels(plain, FOUND)
    assert np.flatnonzero(curve[:, 100]).max() < rows.min() == rows.max() < np.flatnonzero(curve[:, 30]).min()


def test_events_are_brackets_and_annotated_time_is_ground() -> None:
    bar = ScoreBar(
        400,
        steps([0.1] * 40),
        np.arange(400) / 25,
        threshold=0.5,
        events=[(100, 200)],
        spans=[(150, 300)],
        levels=LEVELS,
    )
    amber, ground = pixels(bar, EVENT), pixels(bar, SPAN)
    columns = np.flatnonzero(amber[HEAD - BRACKET - 2])
    assert len(columns) == pytest.approx(90, abs=6)  # less than a quarter of 400: ticks stand left of the plot
    assert 399 - columns[-1] == pytest.approx(2 * len(columns), abs=2)
    legs = np.flatnonzero(amber[HEAD - 4])
    assert legs.tolist() == [*columns[:2], *columns[-2:]]
    assert not amber[HEAD : HEAD + PLOT].any()
    spanned = np.flatnonzero(ground[HEAD + 5])
    assert len(spanned) == pytest.approx(1.5 * len(columns), abs=2)
    assert spanned[0] - columns[0] == pytest.approx(0.5 * len(columns), abs=2)


def test_the_time_in_words_is_the_frames_own() -> None:
    even = ScoreBar(400, steps([0.1] * 4), np.arange(40) / 10, threshold=0.5, levels=LEVELS)
    late = ScoreBar(400, steps([0.1] * 4), np.append(np.arange(39) / 10, 9.0), threshold=0.5, levels=LEVELS)
    assert np.array_equal(even.at(5), late.at(5))
    assert not np.array_equal(even.at(39), late.at(39))


@pytest.mark.parametrize("width", [16, 120, 300, 640, 1280])
def test_any_width_has_a_bar(width: int) -> None:
    bar = ScoreBar(
        width, steps([1e-9, 1.0]), np.arange(20) / 25, threshold=1.0, spans=[(0, 20)], events=[(0, 1), (19, 25)],
        heat=HeatRange(0.1, 0.9999), kinds=("found", "annotated", "event"), levels=LEVELS,
    )  # fmt: skip
    assert bar.at(19).width == width
