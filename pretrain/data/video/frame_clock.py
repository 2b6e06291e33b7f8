"""Frames to seconds by the frames' own times: recordings have gaps, rates vary, stated ones are wrong.

    frames   |0 1 2 3 4|5   6   7   8|9 10 11          a new piece wherever the rate changes
    seconds  |0 . . . .|. . . . . . .|      |60 . .    a gap in the recording: frame 8 lasts as long as the one before
                                            ^ a gap    it, and nothing was seen until frame 9

`begin` and `end` are when frames are shown, `seen` how much footage they are: gaps do not count.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
GAP_SECONDS, GAP_STEPS = 2.0, 4.5
"""A frame that is further from the next than both, steps being the median one, is followed by a gap. (Assumption.)"""
ROUNDING = 2e-3
"""Seconds by which a time may be off a line: containers that count milliseconds round."""
_FEWEST = 16.0
"""Frames in a piece on average; where there are fewer, every frame has its own."""


class Clock(Protocol):
    """When the frames of a video, or of a stream so far, are shown."""

    def begin(self, frame: int, /) -> float:
        """Seconds at which a frame begins to be shown."""
        ...

    def end(self, frame: int, /) -> float:
        """Seconds until which the frames before `frame` are shown."""
        ...

    def seen(self, start: int, end: int, /) -> float:
        """Seconds of footage in the frames `[start, end)`."""
        ...


class _Lists(NamedTuple):
    """Plain numbers: a single frame is found in them ten times as fast."""

    frames: list[int]
    begins: list[float]
    ends: list[float]
    before: list[float]
    steps: list[float]


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameClock:
    """A video's clock in pieces of even rate; the last one goes on for ever."""

    frames: NDArray[np.int64]
    """(pieces + 1,): piece i is frames `[frames[i], frames[i + 1])`; increasing from 0."""
    begins: Floats
    """(pieces,): seconds at which the first frame of each begins."""
    ends: Floats
    """(pieces,): seconds until which the last frame of each is shown."""

    @staticmethod
    def steady(fps: float) -> FrameClock:
        """Of a video of which no more is known than its rate."""
        return FrameClock(frames=np.array([0, 1]), begins=np.zeros(1), ends=np.array([1 / fps]))

    @staticmethod
    def of_times(times: Sequence[float] | Floats, fps: float) -> FrameClock:
        """Of frames at these increasing times (seconds); `fps` counts for a single frame alone."""
        own = np.asarray(times, np.float64)
        if len(own) < 2:
            return FrameClock.steady(fps)
        steps = np.diff(own)
        median = float(np.median(steps))
        gaps = np.flatnonzero(steps > max(GAP_SECONDS, GAP_STEPS * median)) + 1
        frames, begins, ends = [0], [], []
        for first, past in zip([0, *gaps.tolist()], [*gaps.tolist(), len(own)], strict=True):
            last = min(float(own[past - 1] - own[past - 2]) if past - first > 1 else median, GAP_SECONDS + median)
            part = np.append(own[first:past], own[past - 1] + last)
            knots = _knots(part)
            frames += (first + knots[1:]).tolist()
            begins += part[knots[:-1]].tolist()
            ends += part[knots[1:]].tolist()
        return FrameClock(frames=np.array(frames), begins=np.array(begins), ends=np.array(ends))

    @cached_property
    def _before(self) -> Floats:
        """(pieces,): footage before each piece."""
        return np.concatenate([[0.0], np.cumsum(self.ends - self.begins)[:-1]])

    @cached_property
    def _steps(self) -> Floats:
        """(pieces,): seconds a frame."""
        return (self.ends - self.begins) / np.diff(self.frames)

    def begins_of(self, frames: NDArray[Any]) -> Floats:
        """`begin` of many."""
        piece = np.clip(np.searchsorted(self.frames, frames, side="right") - 1, 0, len(self.begins) - 1)
        begins: Floats = self.begins[piece] + (frames - self.frames[piece]) * self._steps[piece]
        return begins

    def ends_of(self, frames: NDArray[Any]) -> Floats:
        """`end` of many."""
        piece = np.clip(np.searchsorted(self.frames, frames, side="left") - 1, 0, len(self.begins) - 1)
        # from the end back: where one piece ends another begins, to the last bit
        ends: Floats = self.ends[piece] - (self.frames[piece + 1] - frames) * self._steps[piece]
        return ends

    def seen_before(self, frames: NDArray[Any]) -> Floats:
        """`seen(0, ...)` of many."""
        piece = np.clip(np.searchsorted(self.frames, frames, side="right") - 1, 0, len(self.begins) - 1)
        seen: Floats = self._before[piece] + (frames - self.frames[piece]) * self._steps[piece]
        return seen

    def begin(self, frame: int) -> float:
        """See `Clock`."""
        piece = max(0, min(bisect_right(self._lists.frames, frame) - 1, len(self._lists.steps) - 1))
        return self._lists.begins[piece] + (frame - self._lists.frames[piece]) * self._lists.steps[piece]

    def end(self, frame: int) -> float:
        """See `Clock`."""
        piece = max(0, min(bisect_left(self._lists.frames, frame) - 1, len(self._lists.steps) - 1))
        past = self._lists.frames[piece + 1]
        return self._lists.ends[piece] - (past - frame) * self._lists.steps[piece]

    def seen(self, start: int, end: int) -> float:
        """See `Clock`."""
        return self._seen_before(end) - self._seen_before(start)

    def _seen_before(self, frame: int) -> float:
        piece = max(0, min(bisect_right(self._lists.frames, frame) - 1, len(self._lists.steps) - 1))
        return self._lists.before[piece] + (frame - self._lists.frames[piece]) * self._lists.steps[piece]

    @cached_property
    def _lists(self) -> _Lists:
        return _Lists(*(own.tolist() for own in (self.frames, self.begins, self.ends, self._before, self._steps)))

    @property
    def is_even(self) -> bool:
        """Whether all frames are equally far apart."""
        return len(self.begins) == 1

    def as_json(self) -> dict[str, Any]:
        """For files."""
        return {"frames": self.frames.tolist(), "begins": self.begins.tolist(), "ends": self.ends.tolist()}

    @staticmethod
    def of_json(content: Mapping[str, Any]) -> FrameClock:
        """What `as_json` made this of. KeyError, TypeError or ValueError: something else."""
        frames = np.array(content["frames"], np.int64)
        begins, ends = (np.array(content[name], np.float64) for name in ("begins", "ends"))
        fits = frames.ndim == begins.ndim == ends.ndim == 1 and len(frames) == len(begins) + 1 == len(ends) + 1 > 1
        if not fits or frames[0] or not np.all(np.diff(frames) > 0) or not np.all(ends > begins):
            raise ValueError("pieces of a clock that do not fit each other")
        if not np.all(begins[1:] >= ends[:-1]) or not np.isfinite([begins, ends]).all():
            raise ValueError("a clock that goes back")
        return FrameClock(frames=frames, begins=begins, ends=ends)


def clock_of(clock: Clock | float) -> Clock:
    """A clock as it is; of a frame rate its steady one."""
    return FrameClock.steady(clock) if isinstance(clock, int | float) else clock


def _knots(times: Floats) -> NDArray[np.int64]:
    """Numbers of the times between which all others lie on a line, to rounding; the first and the last are among them.

    Each piece is sought by doubling and halving, so that an even rate of hours costs a few looks.
    """
    knots, last = [0], len(times) - 1
    while knots[-1] < last:
        first = knots[-1]
        reach, step = first + 1, 1
        while reach < last and _is_line(times[first : min(reach + step, last) + 1]):
            reach, step = min(reach + step, last), 2 * step
        while step > 1:
            step //= 2
            if reach + step <= last and _is_line(times[first : reach + step + 1]):
                reach += step
        knots.append(reach)
        if len(knots) > 1000 and reach < _FEWEST * len(knots):
            return np.append(knots, np.arange(reach + 1, last + 1))
    return np.array(knots)


def _is_line(times: Floats) -> bool:
    line = np.linspace(times[0], times[-1], len(times))
    return bool(np.all(np.abs(times - line) <= ROUNDING))
