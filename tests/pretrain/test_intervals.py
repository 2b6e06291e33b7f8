from __future__ import annotations

import numpy as np
import pytest

from pretrain.intervals import clustered_accuracy


def test_hand_computed_wilson_interval_when_videos_are_alike() -> None:
    """80 of 100, every video 8 of 10: no spread between videos, so the design effect is held at 1."""
    entry = clustered_accuracy([8] * 10, [10] * 10, 0.5)
    assert entry.accuracy == pytest.approx(0.8)
    assert entry.ci_low == pytest.approx(0.7111, abs=1e-4)
    assert entry.ci_high == pytest.approx(0.8666, abs=1e-4)


def test_videos_that_disagree_widen_the_interval() -> None:
    alike = clustered_accuracy([8] * 10, [10] * 10, 0.5)
    apart = clustered_accuracy([10] * 8 + [0] * 2, [10] * 10, 0.5)
    assert apart.accuracy == alike.accuracy
    assert apart.ci_low < alike.ci_low - 0.1


def test_a_perfect_score_keeps_an_interval_and_one_video_says_little() -> None:
    assert 0.9 < clustered_accuracy([50] * 4, [50] * 4, 0.5).ci_low < 1
    assert clustered_accuracy([50], [50], 0.5).ci_low < 0.25


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng, covered = np.random.default_rng(0), 0
    for _ in range(400):
        rates = rng.beta(7, 3, size=20)
        entry = clustered_accuracy(rng.binomial(15, rates), [15] * 20, 0.5)
        covered += entry.ci_low <= 0.7 <= entry.ci_high
    assert 0.91 <= covered / 400 <= 0.98


def test_videos_without_clips_do_not_count() -> None:
    assert clustered_accuracy([8, 0], [10, 0], 0.5) == clustered_accuracy([8], [10], 0.5)
    with pytest.raises(ValueError, match="at least one clip"):
        clustered_accuracy([0], [0], 0.5)
