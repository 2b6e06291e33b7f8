"""Which detector is kept."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from downstream.detector.inference import video_score
from downstream.scores.video_scores import make_scores
from downstream.training.selection import Validation, validate
from pretrain.data.catalogue import Catalogue, Video


def test_video_score_and_threshold() -> None:
    assert video_score(np.array([0.1, 0.9, 0.2])) == pytest.approx(0.9)
    assert video_score(np.r_[np.zeros(30), 0.5, 0.7]) == pytest.approx((0.5 + 0.7 + 0.0) / 3)
    assert video_score(np.array([0.3])) == pytest.approx(0.3)
    scored = [make_scores(name, [value], [0, 16]) for name, value in zip("abcd", (0.1, 0.4, 0.6, 0.8), strict=True)]
    videos = Catalogue([Video(name, "", label) for name, label in zip("abcd", (0, 0, 1, 1), strict=True)], "test")
    validation = validate(scored, videos, 0)
    assert validation.video_auc == 1
    assert validation.threshold == pytest.approx(0.5)


def test_a_higher_auc_is_better_then_a_lower_loss() -> None:
    first = Validation(video_auc=0.8, loss=0.5, threshold=0.4, step=10)
    assert dataclasses.replace(first, video_auc=0.9, loss=2.0).is_better_than(first)
    assert dataclasses.replace(first, loss=0.4).is_better_than(first)
    assert not dataclasses.replace(first, step=20).is_better_than(first)
    assert first.metrics() == {"video_auc": 0.8, "loss": 0.5, "threshold": 0.4}
    assert Validation(**first.as_json()) == first
    assert str(first) == "validation video AUC 0.800 (step 10)"


def test_a_ceiling_is_selected_by_its_frames() -> None:
    """8 + 8 frames of `a` and 4 of `b` are anomalous; the last frames of `b` take its last score."""
    scored = [make_scores("a", [0.6, 0.1], [0, 16, 32]), make_scores("b", [0.9, 0.4], [0, 16, 32])]
    truth = [Video("a", "", 1, spans=((8, 24),)), Video("b", "", 1, spans=((32, 36),), num_frames=36)]
    scored.append(make_scores("c", [0.1], [0, 16]))
    videos = Catalogue([*truth, Video("c", "", 0)], "test")
    validation = validate(scored, videos, 7, ceiling=True)
    anomalous = [0.6] * 8 + [0.1] * 8 + [0.4] * 4
    normal = [0.6] * 8 + [0.1] * 8 + [0.9] * 16 + [0.4] * 16 + [0.1] * 16
    wins = sum((a > b) + (a == b) / 2 for a in anomalous for b in normal)
    assert validation.frame_auc == pytest.approx(wins / len(anomalous) / len(normal))
    assert validation.video_auc == 1
    assert str(validation) == f"validation frame AUC {validation.frame_auc:.3f} (step 7)"
    better = dataclasses.replace(validation, frame_auc=0.9, video_auc=0.1)
    assert better.is_better_than(validation)
    assert Validation(**better.as_json()) == better
    assert validate(scored, videos, 7).frame_auc is None
