"""A stream's frame rate and clock: stated, measured or assumed; leaps of a camera count, those of a file not."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from downstream.detection.live.clock import StreamClock, find_rate
from downstream.detection.live.connection import Connection


def connection(is_live: bool = True, rate: float | None = None) -> Any:
    """What the clock asks of a connection."""
    return SimpleNamespace(
        is_finite=not is_live,
        stated_fps=None if rate is None else (rate, "said"),
        seconds_of=lambda frame: Connection.seconds_of(None, frame),  # type: ignore[arg-type]
    )


def frames(times: list[float | None]) -> list[Any]:
    return [SimpleNamespace(pts=None if t is None else round(t * 1000), time_base=Fraction(1, 1000)) for t in times]


def test_the_rate_is_stated_or_measured_or_assumed() -> None:
    steady = frames([7 + n / 10 for n in range(40)])
    assert find_rate(connection(rate=12.5), iter(steady)) == (12.5, "said", steady[:1])
    fps, source, head = find_rate(connection(), iter(steady))
    assert (round(fps, 3), source, head) == (10, "measured over 30 frames", steady[:30])
    fps, source, _ = find_rate(connection(), iter(frames([1.5 * n for n in range(40)])))
    assert (round(fps, 3), source) == (0.667, "measured over 3 frames")
    fps, source, _ = find_rate(connection(), iter(frames([None] * 40)))
    assert (fps, source.split(":")[0]) == (25, "assumed")
    assert find_rate(connection(), iter([]))[2] == []


def test_a_cameras_clock_that_leaps_has_lost_frames() -> None:
    times = [5.0, 5.1, 5.3, 8.4, 2.0, None]
    clock = StreamClock(connection(), fps=20)
    leaps = [round(clock.take(frame), 3) for frame in frames(times)]
    assert leaps == [0, 0, 0, 3.1, -6.4, 0]
    assert clock.seconds == pytest.approx(2.05)
    clock = StreamClock(connection(is_live=False), fps=20)
    assert not any(clock.take(frame) for frame in frames(times))
