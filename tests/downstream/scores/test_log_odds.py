"""Log odds: the sigmoid undone, finite at both ends."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from downstream.scores.log_odds import EDGE, log_odds


@given(st.floats(-30, 30))
def test_they_undo_the_sigmoid(odds: float) -> None:
    score = 1 / (1 + np.exp(-np.float64(odds)))
    # near 1 a double knows only so much of what is missing
    np.testing.assert_allclose(log_odds(score), odds, rtol=1e-9, atol=2**-52 / (1 - score) if odds > 0 else 1e-12)


@given(st.sampled_from([EDGE, 5e-9, 1e-3]))
def test_both_ends_are_held_off_alike(edge: float) -> None:
    low, high = log_odds(np.array([0.0, 1.0]), edge)
    assert np.isfinite(low)
    np.testing.assert_allclose(high, -low, rtol=1e-6)
    np.testing.assert_allclose(low, np.log(edge), rtol=1e-2)
