"""Several detectors as one: the mean of their log odds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstream.scores.ensemble import ensemble, mean_scores, weights_of_runs
from downstream.scores.score_file import ScoreFile
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.errors import UserError

SCORES = st.lists(st.floats(0, 1), min_size=3, max_size=3)


def file_of(*levels: list[float], meta: dict[str, object] | None = None) -> ScoreFile:
    videos = [make_scores(f"v{n}", each, np.arange(len(each) + 1) * 16) for n, each in enumerate(levels)]
    return ScoreFile(videos, meta or {})


def mapped(values: np.ndarray, name: str = "v") -> VideoScores:
    cells = ScoreMap(values, (60, 40), (0.0, 0.0, 60.0, 40.0))
    return VideoScores(name, cells.frame_scores(), np.arange(len(values) + 1) * 16, cells)


@given(st.lists(SCORES, min_size=1, max_size=4))
def test_the_mean_lies_between_and_does_not_depend_on_the_order(levels: list[list[float]]) -> None:
    arrays = [np.array(each) for each in levels]
    mean = mean_scores(arrays)
    assert np.allclose(mean, mean_scores(arrays[::-1]), atol=1e-12)
    assert (mean >= np.min(arrays, axis=0) - 1e-12).all()
    assert (mean <= np.max(arrays, axis=0) + 1e-12).all()


@given(st.lists(st.tuples(SCORES, st.integers(1, 3)), min_size=1, max_size=4))
def test_one_that_counts_twice_is_as_two_that_say_the_same(members: list[tuple[list[float], int]]) -> None:
    weighted = mean_scores([np.array(own) for own, _ in members], [float(count) for _, count in members])
    assert np.allclose(
        weighted, mean_scores([np.array(own) for own, count in members for _ in range(count)]), atol=1e-9
    )


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=9))
def test_runs_count_alike_and_of_one_run_every_detector_counts_one(runs: list[str]) -> None:
    weights = weights_of_runs(runs)
    of_run = {run: sum(weight for weight, own in zip(weights, runs, strict=True) if own == run) for run in runs}
    assert max(of_run.values()) == pytest.approx(min(of_run.values()))
    assert weights_of_runs(["a"] * len(runs)) == [1.0] * len(runs)


def test_it_is_the_mean_of_log_odds_not_of_scores() -> None:
    odds = np.array([1 / 9, 9.0, 9.0])  # 0.1, 0.9, 0.9
    found = mean_scores([np.array([0.1]), np.array([0.9]), np.array([0.9])])
    expected = np.exp(np.log(odds).mean())
    assert found == pytest.approx(expected / (1 + expected))


def test_one_detector_is_itself_to_the_bit() -> None:
    scores = np.array([0.0, 1e-300, 1.0])
    assert mean_scores([scores]) is scores


def test_maps_are_averaged_cell_by_cell_and_the_frame_has_the_highest_cell() -> None:
    """Two detectors that are each sure of another cell are, together, sure of none."""
    first, second = np.full((1, 1, 3), 0.1), np.full((1, 1, 3), 0.1)
    first[0, 0, 0] = second[0, 0, 2] = 0.9
    both = ensemble([ScoreFile([mapped(first)], {}), ScoreFile([mapped(second)], {})]).videos[0]
    assert both.map is not None
    assert both.map.scores[0, 0] == pytest.approx([0.5, 0.1, 0.5])
    assert both.scores == pytest.approx([0.5])


def test_what_one_could_not_score_is_left_out_and_named() -> None:
    partial = ScoreFile(file_of([0.5, 0.5]).videos, {"unscored": {"v1": "damaged"}})
    both = ensemble([file_of([0.1, 0.2], [0.3]), partial])
    assert [video.name for video in both.videos] == ["v0"]
    assert both.unscored == {"v1": "damaged"}


def test_the_threshold_is_averaged_like_the_scores() -> None:
    files = [file_of([0.5], meta={"threshold": 0.1}), file_of([0.5], meta={"threshold": 0.9})]
    assert ensemble(files).meta["threshold"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (file_of([0.1, 0.2]), "'v1' is not in all of them"),
        (file_of([0.1], [0.3]), "'v0': 2 snippets to frame 32, 1 to frame 16"),
        (file_of([0.1, 1.2], [0.3]), "'v0': scores outside [0, 1]"),
    ],
)
def test_files_that_do_not_fit_are_refused(second: ScoreFile, words: str) -> None:
    with pytest.raises(UserError) as caught:
        ensemble([file_of([0.1, 0.2], [0.3]), second])
    assert words in str(caught.value)


def test_cells_of_other_places_are_refused() -> None:
    with pytest.raises(UserError, match="cells of"):
        ensemble([ScoreFile([mapped(np.zeros((1, 1, 3)))], {}), ScoreFile([mapped(np.zeros((1, 3, 1)))], {})])
