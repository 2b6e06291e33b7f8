"""Attempts to connect again come ever more rarely, and at once again after a connection that held."""

from __future__ import annotations

import numpy as np

from downstream.detection.live.back_off import BackOff


def test_attempts_come_ever_more_rarely_up_to_a_minute() -> None:
    back_off = BackOff(1.0, np.random.default_rng(3))
    delays = np.array([back_off.next() for _ in range(9)])
    ratio = delays / [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert ((ratio >= 0.8) & (ratio <= 1.2)).all()
    assert np.ptp(ratio) > 0.05
    back_off.worked(5)  # broke sooner than the wait for it
    assert back_off.next() > 40
    back_off.worked(40)
    assert back_off.next() < 1.3
