"""Intervals over sources of videos: whole sources are drawn, detectors and networks are paired."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.source_intervals import Figure, figures, source_weights
from downstream.evaluation.ground_truth import LabelledVideo


def test_draws_take_whole_sources() -> None:
    groups = ["b", "a", "b", "c", "b"]
    weights = source_weights(groups, 200, np.random.default_rng(0))
    assert (weights[0] == 1).all()
    assert (weights[:, [0, 0]] == weights[:, [2, 4]]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all(), "as many sources as there are"
    assert len(np.unique(weights[1:, 1])) > 2


def labelled(name: str, scores: list[float], positive: list[int]) -> LabelledVideo:
    edges = np.arange(len(scores) + 1, dtype=np.int64)
    counts = np.array(positive, np.int64)
    return LabelledVideo(name, int(counts.any()), None, None, np.array(scores), edges, counts, 1 - counts, ())


def test_an_interval_over_sources_is_wider_than_one_over_their_videos() -> None:
    rng = np.random.default_rng(1)
    videos, sources = [], []
    for source in range(8):
        scores = rng.normal(size=6)
        scores[3:] += 1.0
        for copy in range(5):  # videos of one source say the same five times
            videos.append(labelled(f"{source}-{copy}", scores.tolist(), [0, 0, 0, 1, 1, 1]))
            sources.append(str(source))
    widths = []
    for groups in (sources, [video.name for video in videos]):
        values = figures([videos], source_weights(groups, 500, np.random.default_rng(0)))
        low, high = Figure(values["per_video_auc"][None]).interval()
        assert low <= values["per_video_auc"][0] <= high
        widths.append(high - low)
    assert widths[0] > 1.8 * widths[1]


def test_detectors_of_a_network_are_averaged_before_networks_are_compared() -> None:
    right, wrong = (labelled("v", scores, [0, 1]) for scores in ([0.0, 1.0], [1.0, 0.0]))
    values = figures([[right], [right], [right], [wrong]], np.ones((1, 1)))
    assert values["frame_auc"].tolist() == [0.75]


def test_differences_are_paired_over_draws_and_networks() -> None:
    draws = np.random.default_rng(0).uniform(0.4, 0.6, (3, 101))
    first, second = Figure(draws), Figure(draws + np.array([[0.1], [0.2], [0.3]]))
    less = second.less(first)
    assert less.interval() == pytest.approx((0.2, 0.2))
    assert less.as_json()["half_width_over_networks"] == pytest.approx(4.303 * 0.1 / np.sqrt(3))
    against_one = second.less(Figure(draws[:1]))
    assert against_one.table.shape == (3, 101)
