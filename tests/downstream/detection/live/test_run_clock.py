"""The clock of a run says what the clock of the same frames in a file says, and forgets what is over."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstream.detection.live.run_clock import RunClock
from pretrain.data.video import FrameClock

STEPS = st.lists(st.sampled_from([0.04, 0.05, 0.2, 0.9, 30.0]), min_size=4, max_size=50)


def clock_of(times: np.ndarray, fps: float = 25.0) -> RunClock:
    clock = RunClock(fps)
    for frame, seconds in enumerate(times.tolist()):
        clock.note(frame, seconds)
    return clock


@given(STEPS)
def test_it_is_the_clock_of_a_file(steps: list[float]) -> None:
    times = np.append(0.0, np.cumsum([0.04, 0.04, *steps]))
    mine, files = clock_of(times), FrameClock.of_times(times, 25.0)
    for frame in range(len(times)):
        assert mine.begin(frame) == pytest.approx(files.begin(frame), abs=0.003)
    if max(steps) < 2:  # which steps are gaps a file tells by all of them, a run by those before
        for frame in range(1, len(times)):
            assert mine.end(frame) == pytest.approx(files.end(frame), abs=0.003)
            assert mine.seen(0, frame) == pytest.approx(files.seen(0, frame), abs=0.005)
    assert mine.now == pytest.approx(times[-1] + mine.end(len(times)) - mine.begin(len(times) - 1), abs=1e-6)


def test_gaps_are_not_footage() -> None:
    clock = RunClock(10.0)
    for frame, seconds in [(0, 0.0), (1, 0.1), (2, 0.2), (13, 60.0), (14, 60.1), (15, 90.0), (16, 90.1)]:
        clock.note(frame, seconds)
    assert clock.footage == pytest.approx(0.7)
    assert (clock.end(3), clock.begin(13), clock.end(15), clock.begin(15)) == pytest.approx((0.3, 60, 60.2, 90))
    assert (clock.now, clock.frames) == (pytest.approx(90.2), 7)


def test_time_goes_on_whatever_frames_say() -> None:
    clock = RunClock(10.0)
    for frame in range(5):
        clock.note(frame, 0.0)
    assert clock.now == pytest.approx(0.5)


def test_it_forgets_but_for_what_is_kept() -> None:
    clock = RunClock(10.0)
    for frame in range(20_000):
        clock.note(frame, frame / 10)
        clock.forget(frame - 50, {7, 8})
    assert len(clock._frames) < 700
    assert (clock.begin(7), clock.end(8)) == pytest.approx((0.7, 0.8))
    assert clock.seen(7, 19_999) == pytest.approx(1999.2)
