from __future__ import annotations

import numpy as np
import pytest

from downstream.evaluation.bootstrap import draw_weights, interval, paired


def test_draws_are_stratified_and_repeatable() -> None:
    labels = [1, 0, 0, 1, 1]
    weights = draw_weights(labels, 200, np.random.default_rng(3))
    assert weights.shape == (200, 5)
    assert set(weights[:, [0, 3, 4]].sum(axis=1)) == {3}
    assert set(weights[:, [1, 2]].sum(axis=1)) == {2}
    assert len(np.unique(weights, axis=0)) > 20
    np.testing.assert_array_equal(weights, draw_weights(labels, 200, np.random.default_rng(3)))


def test_intervals_cover_the_mean_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        values = rng.normal(size=40)
        weights = draw_weights(np.zeros(40), 300, rng)
        low, high = interval(weights @ values / 40, 0.9)
        covered += low <= 0 <= high
    assert 0.83 <= covered / 300 <= 0.95


def test_paired_differences_cancel_what_both_share() -> None:
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(1, 500))
    first = shared + 0.01 * rng.normal(size=(3, 500))
    low, high = paired(first, first[:2] + 0.5)
    assert 0.47 < low < 0.5 < high < 0.53
    with pytest.raises(ValueError, match="500 and 400 draws"):
        paired(first, first[:, :400])


def test_undefined_draws_are_left_out_of_an_interval() -> None:
    assert interval(np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0)
    assert np.isnan(interval(np.array([np.nan]))).all()
