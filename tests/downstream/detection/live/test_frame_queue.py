"""The queue's runs, the wait between attempts, and a stream's clock."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstream.detection.live.clock import StreamClock, find_rate
from downstream.detection.live.connection import Connection
from downstream.detection.live.frame_queue import Frame, FrameQueue, Gap
from downstream.detection.live.settings import BackOff, SourceSettings
from pretrain.errors import UserError

PIXELS = np.zeros((1, 1, 3), np.uint8)


@given(st.integers(2, 12), st.lists(st.booleans(), max_size=150))
def test_every_frame_comes_or_is_counted_in_its_place(capacity: int, takes: list[bool]) -> None:
    queue, put, items = FrameQueue(capacity, may_drop=True), 0, []
    for take in takes:
        if take and queue.waiting:
            items.append(queue.get())
        elif not take:
            if queue.wants_frame():
                queue.put(Frame(put, 0.0, 0.0, PIXELS))
            put += 1
        assert queue.waiting <= capacity
    queue.end()
    items += [queue.get() for _ in range(len(takes))]
    expected, dropped = 0, 0
    for item in items:
        if isinstance(item, Gap):
            expected, dropped = expected + item.frames, dropped + item.frames
        elif item is not None:
            assert item.number == expected
            expected += 1
    assert (expected, dropped) == (put, queue.dropped)


def test_after_a_run_three_quarters_are_free() -> None:
    queue = FrameQueue(8, may_drop=True, fps=4)
    wanted = []
    for number in range(20):
        wanted.append(queue.wants_frame())
        if wanted[-1]:
            queue.put(Frame(number, 0.0, 0.0, PIXELS))
        if number >= 8:
            queue.get()
    assert wanted == [True] * 8 + [False] * 6 + [True] * 6
    gaps = [item for _ in range(9) if isinstance(item := queue.get(0), Gap)]
    assert gaps == []
    assert queue.dropped == 6


def test_end_raises_its_problem_after_what_is_there() -> None:
    queue = FrameQueue(2, may_drop=False)
    queue.put(Frame(0, 0.0, 0.0, PIXELS))
    queue.end(UserError("broken"))
    assert not queue.is_over
    assert isinstance(queue.get(), Frame)
    with pytest.raises(UserError, match="broken"):
        queue.get()
    assert queue.is_over


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


def test_settings_name_all_that_is_wrong() -> None:
    with pytest.raises(UserError) as refused:
        SourceSettings(timeout=0, max_outage=-1, queue_frames=1)
    assert str(refused.value).splitlines()[1:] == [
        "  - timeout is 0; it must be more than 0, in seconds",
        "  - max_outage is -1; it must be more than 0 seconds, or left out",
        "  - queue_frames is 1; it must be at least 2",
    ]


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
