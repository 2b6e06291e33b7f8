"""A stream's own time: its frame rate, the seconds of its frames, leaps, and playing a file no faster than filmed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from downstream.detection.live.connection import RATES, Connection

ASSUMED_FPS = 25.0
MEASURED_FRAMES, MEASURED_SECONDS = 30, 3.0
JUMP_SECONDS, JUMP_FRAMES = 0.25, 4.5
"""A camera whose time stamps leap further ahead than both, or back at all, has lost frames: on the way, in damage, or
in itself. One that films fewer of them in the dark does not. (Assumption.)"""


def find_rate(connection: Connection, frames: Iterator[Any]) -> tuple[float, str, list[Any]]:
    """Frames per second, where that is from in words, and the frames taken to find it (at least the first).

    As the stream states it; else measured by the time stamps of the first 30 frames or 3 seconds; else 25.
    """
    if connection.stated_fps is not None:
        return *connection.stated_fps, list(islice(frames, 1))
    head: list[Any] = []
    times: list[float] = []
    for frame in islice(frames, MEASURED_FRAMES):
        head.append(frame)
        times += [seconds] if (seconds := connection.seconds_of(frame)) is not None else []
        if times and times[-1] - times[0] >= MEASURED_SECONDS:
            break
    span = times[-1] - times[0] if len(times) > 1 else 0.0
    rate = (len(times) - 1) / span if span > 0 else 0.0
    if RATES[0] <= rate <= RATES[1]:
        return rate, f"measured over {len(times)} frames", head
    return ASSUMED_FPS, f"assumed: neither the stream nor its time stamps say; take {ASSUMED_FPS:g} with a grain", head


class StreamClock:
    """The seconds of a connection's frames, one after the other."""

    def __init__(self, connection: Connection, fps: float) -> None:
        self.seconds = 0.0
        """Of the frame taken last."""
        self._connection, self._fps = connection, fps
        self._first: float | None = None
        self._begun = 0.0

    def take(self, frame: Any) -> float:
        """The next frame's seconds, by its time stamp or else by counting; returns by how many it leaps, 0: not.

        Only a camera's leap counts: the frames of a file are what they are.
        """
        stated = self._connection.seconds_of(frame)
        if self._first is None:
            self.seconds = self._first = stated or 0.0
            self._begun = time.monotonic()
            return 0.0
        step = 1 / self._fps if stated is None else stated - self.seconds
        self.seconds += step
        is_leap = step > max(JUMP_SECONDS, JUMP_FRAMES / self._fps) or step < 0
        return step if is_leap and not self._connection.is_finite else 0.0

    def wait(self, stopped: threading.Event) -> None:
        """Until the frame taken last is due, counted from the first."""
        assert self._first is not None
        stopped.wait(max(0.0, self._begun + self.seconds - self._first - time.monotonic()))
