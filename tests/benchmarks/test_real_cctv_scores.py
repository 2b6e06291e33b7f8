"""Scores without a detector, of videos and of features, worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import real_cctv_scores as scoring
from benchmarks.real_cctv_sets import RealTest
from pretrain.data.catalogue import Catalogue, Video
from tests.pretrain.encoding import encode_video


def test_whitened_features_have_unit_variance_and_a_constant_number_does_no_harm() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4000, 3)) @ np.diag([5.0, 0.1, 0.0]) + [7, 0, 1]
    whitened = scoring.Whitening([features[:1000], features[1000:]])(features)
    assert np.sort(whitened.std(axis=0)) == pytest.approx([0, 1, 1], abs=0.02)
    assert whitened.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-9)


def test_change_is_the_mean_of_both_neighbours() -> None:
    assert scoring.change(np.array([[0.0], [3.0], [4.0]])).tolist() == [3.0, 2.0, 1.0]
    assert scoring.change(np.array([[5.0]])).tolist() == [0.0]


def test_smoothing_keeps_a_constant_and_spreads_a_peak() -> None:
    assert scoring.smoothed(np.full(5, 2.0)) == pytest.approx(np.full(5, 2.0))
    peak = scoring.smoothed(np.array([0.0, 0.0, 1.0, 0.0, 0.0]))
    assert peak[2] > peak[1] > peak[0] > 0
    assert peak[1] == pytest.approx(peak[3])


def test_distance_to_normal_is_that_of_the_nearest_five() -> None:
    normal = np.arange(10.0)[:, None]
    assert scoring.nearest_distance(np.array([[-1.0]]), normal) == pytest.approx([3.0])


def test_a_fold_is_whitened_by_the_others_alone() -> None:
    rng = np.random.default_rng(0)
    videos = Catalogue([Video(name=str(n), path="x", split="test", group=str(n % 3)) for n in range(9)], "test")
    features = {video.name: rng.normal(size=(12, 2)) for video in videos}
    parts = [{"0"}, {"1"}, {"2"}]
    before = scoring.left_out_change_scores(features, videos, parts)
    changed = features | {"3": 50 * features["3"]}  # of group 0
    after = scoring.left_out_change_scores(changed, videos, parts)
    assert set(before) == {video.name for video in videos}
    assert (before["0"] == after["0"]).all()
    assert not np.allclose(before["1"], after["1"])


def test_motion_energy_and_its_acceleration() -> None:
    videos = [Video(name="v", path="x")]
    energy, acceleration = scoring.motion_scores({"v": np.array([1.0, 1, 1, 1, 5, 1, 5, 1, 9])}, videos, 4)
    assert len(energy["v"]) == 2, "frames past the last whole snippet have none"
    assert energy["v"][1] > energy["v"][0]
    assert acceleration["v"][1] > acceleration["v"][0] > 0, "smoothed"


def test_motion_of_a_video(tmp_path: Path) -> None:
    motion = scoring.motion_of(str(encode_video(tmp_path / "v.mp4", 0, num_frames=12)))
    assert motion.shape == (12,)
    assert motion[0] == motion[1] > 0


def test_whole_clips_have_one_score() -> None:
    videos = Catalogue([Video(name=str(n), path="x", label=n, split="test", group="g") for n in (0, 1)], "clips")
    test = RealTest(name="clips", title="clips", videos=videos, groups="camera", whole_clips=True)
    normal, abnormal = scoring.labelled(test, {"0": np.array([1.0, 2.0]), "1": np.array([0.0, 9.0])})
    assert (normal.scores.tolist(), normal.positive.tolist(), normal.negative.tolist()) == ([1.5], [0], [1])
    assert (abnormal.scores.tolist(), abnormal.positive.tolist()) == ([4.5], [1])
