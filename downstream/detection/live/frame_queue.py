"""What a live input gives, and the bounded queue between the thread that reads it and whoever works on it.

    camera    |0 1 2 3 4 5 6 7 8 9 . . . .|     a consumer that cannot keep up
    queue     |0 1 2 3 x x x x x x 10 11  |     full at 4: whole runs are left out, until three quarters are taken,
                       Gap(frames=6)            and the run's place is marked

Single frames left out here and there would leave no clip whole; a run does, before and after it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pretrain.data.video import VideoInfo


@dataclass(frozen=True, slots=True)
class Opened:
    """The input answers, for the first time or again; what follows looks like this."""

    info: VideoInfo
    """`num_frames` and `duration_seconds` are 0: nobody knows. `fps` stays what it was at first."""
    fps_from: str
    """Where `info.fps` is from, in words."""
    arrived: float
    """Wall-clock time, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, scaled and cut as was asked for."""

    number: int
    """From 0; goes on over gaps by the frames that are missing (`Gap.frames`)."""
    seconds: float
    """Since the first frame of the run: by the times that the stream states, else by those of arrival. Goes on over
    gaps."""
    arrived: float
    """Wall-clock time at which it was decoded, in seconds since 1970."""
    pixels: NDArray[np.uint8] = field(repr=False)
    """(height, width, 3)."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection broke; it is tried again."""

    reason: str
    arrived: float


@dataclass(frozen=True, slots=True)
class Gap:
    """Between the frame before and the one that follows, frames are missing: no clip may reach across."""

    kind: Literal["slow", "outage", "jump"]
    """The consumer was too slow; the connection was lost; the stream's own clock jumped."""
    reason: str
    frames: int
    """Missing, at least 1: counted where we left them out, else the time lost times the frame rate."""
    seconds: float
    arrived: float


Item = Opened | Frame | Lost | Gap


class FrameQueue:
    """Frames bounded, news unbounded (it is rare). One thread puts, one gets."""

    def __init__(self, capacity: int, may_drop: bool, fps: float = 25.0) -> None:
        """Holds at most `capacity` frames; when they are there, `put` drops (`may_drop`) or waits."""
        self.capacity, self.may_drop, self.fps = capacity, may_drop, fps
        self.dropped = 0
        """Frames left out so far."""
        self._items: deque[Item] = deque()
        self._frames, self._run, self._is_closed, self._is_over = 0, 0, False, False
        self._problem: Exception | None = None
        self._changed = threading.Condition()

    def wants_frame(self) -> bool:
        """Whether the next frame shall be put; if not, it counts as dropped. Waits where nothing may be dropped."""
        with self._changed:
            while not self.may_drop and self._frames >= self.capacity and not self._is_closed:
                self._changed.wait()
            room = self.capacity // 4 if self._run else self.capacity - 1
            if self._is_closed or self._frames > room:
                self._run += 1
                self.dropped += not self._is_closed
                return False
            return True

    def put(self, item: Item) -> None:
        """Add to the end; the mark of a dropped run goes before it."""
        with self._changed:
            self._mark_run(item.arrived)
            self._items.append(item)
            self._frames += isinstance(item, Frame)
            self._changed.notify_all()

    def _mark_run(self, arrived: float) -> None:
        if self._run and not self._is_closed:
            reason = f"frames come faster than they are worked on: {self._run} left out"
            self._items.append(Gap("slow", reason, self._run, self._run / self.fps, arrived))
        self._run = 0

    def end(self, problem: Exception | None = None) -> None:
        """Nothing follows; `problem` is raised to who asks for more."""
        with self._changed:
            self._mark_run(time.time())
            self._problem, self._is_over = problem, True
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody gets any more: what is there is let go, nobody waits."""
        with self._changed:
            self._is_closed = True
            self._items.clear()
            self._frames = 0
            self._changed.notify_all()

    def get(self, timeout: float | None = None) -> Item | None:
        """The next item, or None: nothing came in time, or nothing follows (`is_over`). Raises `end`'s problem."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._is_over or self._is_closed, timeout)
            if self._items:
                item = self._items.popleft()
                self._frames -= isinstance(item, Frame)
                self._changed.notify_all()
                return item
            if self._problem is not None:
                raise self._problem
            return None

    @property
    def is_over(self) -> bool:
        """Whether everything was taken and nothing follows."""
        with self._changed:
            return (self._is_over or self._is_closed) and not self._items

    @property
    def waiting(self) -> int:
        """Frames in the queue."""
        with self._changed:
            return self._frames
