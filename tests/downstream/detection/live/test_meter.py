"""Delays and speed of a stream, in constant memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstream.detection.live.meter import Delays, Meter


@given(st.lists(st.floats(2e-4, 1000), min_size=1, max_size=60), st.sampled_from([0.5, 0.95]))
def test_quantiles_are_right_to_a_bin(seconds: list[float], share: float) -> None:
    delays = Delays()
    for delay in seconds:
        delays.add(delay)
    exact = float(np.quantile(seconds, share, method="inverted_cdf"))
    found = delays.quantile(share)
    assert found is not None
    assert exact / 1.011 <= found <= exact * 1.011
    assert (delays.count, delays.total) == (len(seconds), pytest.approx(sum(seconds)))
    assert sum(delay * 1.02 < exact for delay in seconds) <= delays.within(exact)
    assert delays.within(exact) <= sum(delay <= exact * 1.021 for delay in seconds)


def test_what_was_not_measured_is_not_said() -> None:
    meter = Meter()
    assert (meter.describe_delay(), meter.describe_speed(), meter.times_real_time) == ("", "", None)
    meter.worked(0.25)
    meter.scored(0.5, None)
    meter.worked(0.25)
    meter.scored(0.5, 5000.0)
    assert meter.describe_speed() == "2.0 times real time"
    assert meter.delays.quantile(0.5) == pytest.approx(1118, rel=0.02)  # the last bin
