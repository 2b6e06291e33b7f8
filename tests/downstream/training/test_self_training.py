"""Labels that a run suggests for its own training videos: from which scores, on which snippets, and what is refused."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstream.features.feature_spec import VideoEntry
from downstream.scores.ensemble import mean_scores
from downstream.scores.score_file import write_scores
from downstream.scores.supervision import KEY
from downstream.scores.video_scores import make_scores
from downstream.training.config import SelfTrainingConfig
from downstream.training.self_training import (
    SnippetLabels,
    called,
    describe_labels,
    held_out_scores,
    odds_on,
    suggested_labels,
)
from pretrain.data.catalogue import Catalogue, Video
from pretrain.errors import UserError

TRAINING = Catalogue([Video(name, f"{name}.mp4", label=int(name[0] == "a")) for name in ("a1", "a2", "n1")], "list")
ENTRIES = {
    name: VideoEntry(name=name, offset=0, snippets=4, frames=64, fps=None, snippet_frames=16)
    for name in ("a1", "a2", "n1")
}


def held_out(run: Path, seed: int, scores: dict[str, list[float]], **meta: Any) -> None:
    videos = [make_scores(name, own, np.arange(len(own) + 1) * 64 // len(own)) for name, own in scores.items()]
    write_scores(run / f"seed-{seed}" / "validation_scores.json", videos, meta)


def labels_by(teacher: Path, **settings: float) -> SnippetLabels:
    config = SelfTrainingConfig(teacher=teacher, **settings)
    return suggested_labels(config, held_out_scores(teacher), TRAINING, ENTRIES)


def test_each_abnormal_video_is_judged_by_the_detectors_that_had_held_it_out(tmp_path: Path) -> None:
    held_out(tmp_path, 0, {"a1": [0.1, 0.9, 0.6, 0.2], "n1": [0.9] * 4})
    held_out(tmp_path, 1, {"a1": [0.1, 0.1, 0.9, 0.3]})
    labels = labels_by(tmp_path, share=0.25, doubtful=0.25)
    both = mean_scores([np.array([0.1, 0.9, 0.6, 0.2]), np.array([0.1, 0.1, 0.9, 0.3])])
    assert np.argsort(-both).tolist()[:2] == [2, 1]
    assert labels.keys() == {"a1", "n1"}  # of a2 nobody says anything
    np.testing.assert_array_equal(labels["a1"], np.array([0, np.nan, 1, 0], np.float32))
    np.testing.assert_array_equal(labels["n1"], np.zeros(4, np.float32))  # whatever its scores
    other = labels_by(tmp_path, share=0.25, doubtful=0.0)
    assert describe_labels(labels) != describe_labels(other)


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=12), st.integers(1, 6))
def test_scores_on_other_snippets_are_means_over_their_frames(scores: list[float], length: int) -> None:
    edges = np.arange(len(scores) + 1) * 6
    frames = np.repeat(np.log(scores) - np.log1p(-np.array(scores)), 6)
    own = np.unique(np.append(np.arange(0, edges[-1], length), edges[-1]))
    expected = [frames[start:end].mean() for start, end in pairwise(own)]
    np.testing.assert_allclose(odds_on(make_scores("v", scores, edges), own), expected, atol=1e-9)


def test_past_the_end_of_scores_the_last_one_is_held() -> None:
    odds = odds_on(make_scores("v", [0.5, 0.9], [0, 8, 16]), np.array([0, 8, 16, 32]))
    np.testing.assert_allclose(odds, [0, np.log(9), np.log(9)], atol=1e-12)


@given(st.integers(1, 60), st.floats(0.01, 0.5), st.floats(0, 0.49))
def test_shares_are_kept_and_one_snippet_is_anomalous_at_least(count: int, share: float, doubtful: float) -> None:
    odds = np.random.default_rng(count).permutation(count).astype(float)
    labels = called(odds, share, doubtful)
    anomalous = labels == 1
    assert anomalous.sum() == max(1, round(share * count))
    assert np.isnan(labels).sum() == min(round(doubtful * count), count - anomalous.sum())
    assert odds[anomalous].min() > odds[~anomalous].max(initial=-1)
    assert odds[labels == 0].max(initial=-1) < odds[np.isnan(labels)].min(initial=count)


def test_of_snippets_that_the_teacher_calls_alike_the_earlier_come_first() -> None:
    """A teacher's snippet is four of the student's: their means differ in the last bit."""
    scores = np.random.default_rng(0).random(6)
    odds = odds_on(make_scores("v", scores, np.arange(7) * 64), np.arange(25) * 16)
    assert scores.argmax() == 5
    assert odds[21] > odds[20]
    np.testing.assert_array_equal(called(odds, 1 / 12, 1 / 12)[20:], np.array([1, 1, np.nan, np.nan], np.float32))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"share": 0.0}, r"self_training\.share is 0\.0; it must lie in \(0, 1\)"),
        ({"share": 0.6, "doubtful": 0.4}, r"self_training\.doubtful is 0\.4; it must be 0 or more, and less than 0\.4"),
    ],
)
def test_shares_that_leave_nothing_normal_are_refused(settings: dict[str, float], text: str) -> None:
    with pytest.raises(UserError, match=text):
        SelfTrainingConfig(**settings)


def test_teachers_that_cannot_teach_are_refused(tmp_path: Path) -> None:
    def refused(name: str) -> str:
        with pytest.raises(UserError) as error:
            labels_by(tmp_path / name)
        return str(error.value)

    assert "give a finished run of scripts/finetune.py" in refused("nowhere")
    (tmp_path / "begun" / "seed-0").mkdir(parents=True)
    assert "finish it with --resume" in refused("begun")
    held_out(tmp_path / "top", 0, {"a1": [0.1, 0.9]}, **{KEY: "frames"})
    assert "is a ceiling: it was told labels of frames" in refused("top")
    longer = [make_scores("a1", [0.1, 0.9, 0.2], [0, 64, 128, 192]), make_scores("n1", [0.1], [0, 640])]
    write_scores(tmp_path / "longer" / "seed-0" / "validation_scores.json", longer, {})
    assert "scored other cuts of 1 training video(s)" in refused("longer")
    assert "'a1': scores up to frame 192, snippets up to frame 64" in refused("longer")
    write_scores(tmp_path / "tail" / "seed-0" / "validation_scores.json", [make_scores("a1", [0.1], [0, 48])], {})
    labels_by(tmp_path / "tail")  # less than a snippet apart
    held_out(tmp_path / "other", 0, {"b1": [0.1, 0.9]}, **{KEY: "videos"})
    assert "says nothing of the 2 abnormal training videos" in refused("other")
