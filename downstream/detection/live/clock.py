"""A connection's own time: its frame rate, the seconds of its frames, leaps, and playing a file no faster than filmed.

Times are stated by the stream, or else those at which frames arrive. What FFmpeg makes up where a stream states none
(pictures over HTTP, bare H.264: 25 a second, whatever comes) is no time at all.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any, NamedTuple

from downstream.detection.live.connection import RATES, Connection, StreamBroken

ASSUMED_FPS = 25.0
MEASURED_FRAMES, MEASURED_SECONDS = 30, 3.0
AGREES = 0.02
"""Share by which a stated and a measured rate may differ; what is measured over a second is no better."""
AT_ONCE_SECONDS = 0.05
"""Frames that come so soon after the first one were there before it was asked for: FFmpeg looks ahead."""
SETTLED_SECONDS, MOST_FRAMES = 0.5, 60
"""Of arrivals: so long, or so many frames, tell which came at once and how the others do."""
JUMP_SECONDS, JUMP_FRAMES = 0.25, 4.5
"""A camera whose time stamps leap further ahead than both, in frames as they came last, or back at all, has lost
frames: on the way, in damage, or in itself. One that films fewer of them in the dark does not. (Assumption.)"""


class Arrived(NamedTuple):
    """A frame and when it came."""

    frame: Any
    at: float
    """By `time.monotonic()`."""


class Arriving:
    """Frames with the times at which they come. Where they break off, `head` still has what came."""

    def __init__(self, frames: Iterator[Any]) -> None:
        self._frames = frames
        self._broken: StreamBroken | None = None

    def __iter__(self) -> Iterator[Arrived]:
        return self

    def __next__(self) -> Arrived:
        if self._broken is not None:
            raise self._broken
        return Arrived(next(self._frames), time.monotonic())

    def head(self) -> Iterator[Arrived]:
        """The first frames: a break ends them, and is raised to who asks for more."""
        try:
            yield from self
        except StreamBroken as broken:
            self._broken = broken


def find_rate(connection: Connection, frames: Iterator[Arrived]) -> tuple[float, str, list[Arrived]]:
    """Frames per second, where that is from in words, and the frames taken to find it (at least the first).

    Of a file as it states it. Of what comes live as measured over the first 30 frames or 3 seconds, by the times that
    it states, else by those at which they arrive; the rate that it states where that agrees. Else 25.
    """
    if connection.is_finite and connection.stated_fps is not None:
        return *connection.stated_fps, list(islice(frames, 1))
    head, times = _head(connection, frames)
    step = _step(times, connection.is_finite or connection.seconds_of(head[0].frame) is not None) if head else 0.0
    rate = 1 / step if step > 0 else 0.0
    stated = connection.stated_fps
    if not RATES[0] <= rate <= RATES[1]:
        if stated is not None and head:
            return *stated, head
        return (
            ASSUMED_FPS,
            f"assumed: neither the stream nor its time stamps say; take {ASSUMED_FPS:g} with a grain",
            head,
        )
    if stated is not None and abs(rate / stated[0] - 1) <= AGREES:
        return *stated, head
    return rate, f"measured over {len(times)} frames", head


def _step(times: list[float], is_stated: bool) -> float:
    """Seconds from one frame to the next; of stated times the usual ones, so that a lost frame counts for nothing."""
    if len(times) < 2:
        return 0.0
    return (
        statistics.median(b - a for a, b in pairwise(times)) if is_stated else (times[-1] - times[0]) / (len(times) - 1)
    )


def _head(connection: Connection, frames: Iterator[Arrived]) -> tuple[list[Arrived], list[float]]:
    """The first frames, and the times that are known of them: stated, or of their arrival."""
    head: list[Arrived] = []
    stated: list[float] = []
    for arrived in frames:
        head.append(arrived)
        if (seconds := connection.seconds_of(arrived.frame)) is not None:
            stated.append(seconds)
            is_enough = len(stated) >= MEASURED_FRAMES or stated[-1] - stated[0] >= MEASURED_SECONDS
        else:
            is_enough = arrived.at - head[0].at >= SETTLED_SECONDS or len(head) >= MOST_FRAMES
        if is_enough:
            break
    if stated or connection.is_finite:
        return head, stated
    head = spread(head, connection.begun)
    return head, [arrived.at for arrived in head]


def spread(head: list[Arrived], begun: float) -> list[Arrived]:
    """Frames that were there at once came one after the other since the input was called: evenly, for all one knows."""
    at_once = sum(arrived.at - head[0].at < AT_ONCE_SECONDS for arrived in head)
    if at_once < 2:
        return head
    step = max(0.0, head[0].at - begun) / at_once
    early = [Arrived(frame, at - step * (at_once - 1 - n)) for n, (frame, at) in enumerate(head[:at_once])]
    return [*early, *head[at_once:]]


class StreamClock:
    """The seconds of a connection's frames, one after the other."""

    def __init__(self, connection: Connection, fps: float, begin: float = 0.0) -> None:
        """`begin`: seconds at which its first frame comes."""
        self.seconds = begin
        """Of the frame taken last."""
        self._connection = connection
        self._step = 1 / fps
        self._last: tuple[float, float | None] | None = None
        """When the last frame arrived, and the time it stated."""
        self._begun, self._begin = 0.0, begin

    def take(self, frame: Any, at: float | None = None) -> float:
        """The next frame's seconds, by the time that it states, else by its arrival (`at`, of `time.monotonic()`).

        Returns by how many it leaps, 0: not. Only a camera's leap counts: the frames of a file are what they are.
        """
        stated, at = self._connection.seconds_of(frame), time.monotonic() if at is None else at
        last, self._last = self._last, (at, stated)
        if last is None:
            self._begun = time.monotonic()
            return 0.0
        if stated is None or last[1] is None:
            self.seconds += 1 / self._rate if self._connection.is_finite else max(0.0, at - last[0])
            return 0.0
        step = stated - last[1]
        is_live = not self._connection.is_finite
        is_leap = is_live and (step < 0 or step > max(JUMP_SECONDS, JUMP_FRAMES * self._step))
        # a clock that was put back says nothing of how long it took
        self.seconds += max(0.0, at - last[0]) if is_live and step < 0 else step
        self._step = step if step > 0 else self._step
        return step if is_leap else 0.0

    @property
    def _rate(self) -> float:
        return 1 / self._step

    def wait(self, stopped: threading.Event) -> None:
        """Until the frame taken last is due, counted from the first."""
        stopped.wait(max(0.0, self._begun + self.seconds - self._begin - time.monotonic()))
