"""A stream's frame rate and clock: stated, measured or assumed; leaps of a camera count, those of a file not."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from downstream.detection.live.clock import Arrived, StreamClock, find_rate, spread


def connection(is_live: bool = True, rate: float | None = None) -> Any:
    """What the clock asks of a connection."""
    return SimpleNamespace(
        is_finite=not is_live,
        begun=98.0,
        stated_fps=None if rate is None else (rate, "said"),
        seconds_of=lambda frame: None if frame.pts is None else float(frame.pts * frame.time_base),
    )


def frames(times: list[float | None]) -> list[Any]:
    return [SimpleNamespace(pts=None if t is None else round(t * 1000), time_base=Fraction(1, 1000)) for t in times]


def arrived(frames: list[Any], at: list[float] | None = None) -> list[Arrived]:
    """Frames and when they came; by default all at once."""
    return [Arrived(frame, 100.0 + (at[n] if at else 0.0)) for n, frame in enumerate(frames)]


def test_the_rate_of_what_comes_live_is_measured_and_the_stated_one_where_it_agrees() -> None:
    steady = arrived(frames([7 + n / 10 for n in range(40)]))
    assert find_rate(connection(rate=10.1), iter(steady)) == (10.1, "said", steady[:30])
    for rate in (None, 25.0):  # what FFmpeg guesses is not what comes
        fps, source, head = find_rate(connection(rate=rate), iter(steady))
        assert (round(fps, 3), source, head) == (10, "measured over 30 frames", steady[:30])
    fps, source, _ = find_rate(connection(), iter(arrived(frames([1.5 * n for n in range(40)]))))
    assert (round(fps, 3), source) == (0.667, "measured over 3 frames")
    assert find_rate(connection(False, 12.5), iter(steady)) == (12.5, "said", steady[:1])
    assert find_rate(connection(rate=25.0), iter(steady[:1])) == (25.0, "said", steady[:1])
    fps, source, _ = find_rate(connection(), iter(steady[:1]))
    assert (fps, source.split(":")[0]) == (25, "assumed")
    assert find_rate(connection(), iter([]))[2] == []


def test_without_stated_times_the_rate_is_that_of_arrival() -> None:
    """At 5 a second: FFmpeg has looked at ten of them for 2 s, then they come as they are filmed."""
    untimed = arrived(frames([None] * 40), [max(0.0, (n - 9) / 5) for n in range(40)])
    for rate in (None, 25.0):
        fps, source, head = find_rate(connection(rate=rate), iter(untimed))
        assert fps == pytest.approx(5)
        assert source == f"measured over {len(head)} frames"
    clock = StreamClock(connection(), fps, 3.0)
    seconds = []
    for frame, at in [*head, *untimed[len(head) :]]:
        assert clock.take(frame, at) == 0
        seconds.append(clock.seconds)
    assert seconds == pytest.approx([3 + n / 5 for n in range(40)])


def test_frames_that_come_one_by_one_are_where_they_came() -> None:
    untimed = arrived(frames([None] * 4), [0.0, 0.2, 0.4, 0.6])
    assert spread(untimed, 90.0) == untimed


def test_a_cameras_clock_that_leaps_has_lost_frames() -> None:
    times = [5.0, 5.1, 5.3, 8.4, 2.0, None]
    clock = StreamClock(connection(), fps=20)
    leaps = [round(clock.take(frame, at), 3) for at, frame in enumerate(frames(times))]
    assert leaps == [0, 0, 0, 3.1, -6.4, 0]
    assert clock.seconds == pytest.approx(5.4)  # 0.1, 0.2, 3.1 as stated, then a second of arrival each
    clock = StreamClock(connection(is_live=False), fps=20)
    assert not any(clock.take(frame) for frame in frames(times))


def test_fewer_frames_in_the_dark_are_no_loss_but_once() -> None:
    times = [*(n / 25 for n in range(50)), *(2 + n / 3 for n in range(20))]
    clock = StreamClock(connection(), fps=25)
    leaps = [clock.take(frame, 0.0) for frame in frames(list(times))]
    assert sum(map(bool, leaps)) <= 1
    assert clock.seconds == pytest.approx(times[-1], abs=1e-3)
