"""Seconds are the frames' own times: even and uneven rates, gaps, rounding; against the plain reading of the times."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.data.video.frame_clock import GAP_SECONDS, ROUNDING, FrameClock, clock_of

STEPS = st.lists(st.sampled_from([0.02, 0.04, 0.0402, 0.2, 1.0, 7.0, 600.0]), min_size=1, max_size=60)


@given(STEPS)
def test_every_frame_has_its_own_time(steps: list[float]) -> None:
    times = np.append(0.0, np.cumsum(steps))
    clock = FrameClock.of_times(times, 25.0)
    frames = np.arange(len(times))
    assert np.abs(clock.begins_of(frames) - times).max() <= ROUNDING + 1e-9
    median = float(np.median(steps))
    is_gap = np.array(steps) > max(GAP_SECONDS, 4.5 * median)
    lasts = np.array(steps)
    for n in np.flatnonzero(is_gap):
        before = steps[n - 1] if n and not is_gap[n - 1] else median
        lasts[n] = min(before, GAP_SECONDS + median)
    seen = np.append(0.0, np.cumsum(lasts))
    assert np.abs(clock.seen_before(frames) - seen).max() <= ROUNDING * (2 + is_gap.sum()) + 1e-9
    ends = clock.ends_of(frames[1:])
    assert np.abs(ends - (times[:-1] + lasts)).max() <= 2 * ROUNDING + 1e-9
    # where there is no gap, what ends is where the next begins, to the last bit
    assert np.all((clock.begins_of(frames[1:]) - ends <= 1e-9) | is_gap)
    again = FrameClock.of_json(json.loads(json.dumps(clock.as_json())))
    np.testing.assert_array_equal(again.begins_of(frames), clock.begins_of(frames))


def test_a_recording_with_gaps_is_as_long_as_what_was_seen() -> None:
    times = np.concatenate([start + np.arange(50) / 25 for start in (0, 100, 3600)])
    clock = FrameClock.of_times(times, 0.04)
    assert clock.seen(0, 150) == pytest.approx(6)
    assert (clock.begin(50), clock.end(50)) == pytest.approx((100, 2))
    assert (clock.begin(149), clock.end(150)) == pytest.approx((3601.96, 3602))
    assert clock.seen(40, 60) == pytest.approx(0.8)
    assert len(clock.begins) == 3


def test_low_light_and_stills_are_no_gaps() -> None:
    dark = np.concatenate([np.arange(100) / 25, 4 + np.arange(20) * 0.9])
    assert FrameClock.of_times(dark, 25.0).seen(0, 120) == pytest.approx(22)
    lapse = np.arange(40) * 5.0
    assert FrameClock.of_times(lapse, 25.0).seen(0, 40) == pytest.approx(200)


def test_rounded_times_of_an_even_rate_are_one_piece_however_long() -> None:
    times = np.round(np.arange(3_000_000) / 30, 3)
    begun = time.process_time()
    clock = FrameClock.of_times(times, 30.0)
    assert clock.is_even
    assert clock.begin(2_999_999) == pytest.approx(99_999.967, abs=1e-3)
    jitter = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.09, 300_000))
    assert len(FrameClock.of_times(jitter, 25.0).begins) > 100_000
    assert time.process_time() - begun < 10


def test_a_rate_alone_is_a_clock_too() -> None:
    clock = clock_of(25.0)
    assert (clock.begin(50), clock.end(50), clock.seen(25, 100)) == (2.0, 2.0, 3.0)
    assert clock_of(clock) is clock
    assert FrameClock.of_times([0.0], 10.0).seen(0, 1) == 0.1


@pytest.mark.parametrize(
    "broken",
    [
        {"frames": [0], "begins": [], "ends": []},
        {"frames": [1, 2], "begins": [0], "ends": [1]},
        {"frames": [0, 2, 2], "begins": [0, 1], "ends": [1, 2]},
        {"frames": [0, 2, 3], "begins": [0, 0.5], "ends": [1, 2]},
        {"frames": [0, 1], "begins": [0], "ends": [float("nan")]},
        {"frames": [0, 1], "begins": [0], "ends": [float("inf")]},
        {"frames": "ab", "begins": [0], "ends": [1]},
    ],
)
def test_other_content_is_no_clock(broken: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        FrameClock.of_json(broken)
