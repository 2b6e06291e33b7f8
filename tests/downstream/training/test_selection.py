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
