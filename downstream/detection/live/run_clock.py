"""When the frames of a run were shown, as they come: what `FrameClock` is for a file, in bounded memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection

from pretrain.data.video import GAP_SECONDS, GAP_STEPS

_OFTEN = 500
"""Frames between two times that old ones are let go."""


class RunClock:
    """Seconds since the first frame of a run, by what each frame brought with it. A `Clock` of the frames of late."""

    def __init__(self, fps: float) -> None:
        """`fps`: the rate at which it began; the last frame lasts as long as the one before it."""
        self._step = 1 / fps
        self._frames: list[int] = []
        self._begins: list[float] = []
        self._seen: list[float] = []
        """Footage before each frame."""
        self.frames = 0
        """So many came."""

    @property
    def now(self) -> float:
        """Until when the last frame is shown; 0 before there is one."""
        return self._begins[-1] + self._step if self._frames else 0.0

    @property
    def footage(self) -> float:
        """Seconds of what was seen."""
        return self._seen[-1] + self._step if self._frames else 0.0

    def note(self, frame: int, seconds: float) -> None:
        """The next frame, and when it was shown. Time goes on, whatever is said of it."""
        self.frames += 1
        if not self._frames:
            self._add(frame, seconds, 0.0)
            return
        between = frame - self._frames[-1]
        if seconds <= self._begins[-1]:
            seconds = self._begins[-1] + between * self._step
        step = seconds - self._begins[-1]
        if between > 1 or self._is_gap(step):  # frames are missing
            self._add(frame, seconds, self._seen[-1] + min(step, self._step))
            return
        self._add(frame, seconds, self._seen[-1] + step)
        self._step = step

    def _is_gap(self, step: float) -> bool:
        return step > max(GAP_SECONDS, GAP_STEPS * self._step)

    def _add(self, frame: int, seconds: float, seen: float) -> None:
        self._frames.append(frame)
        self._begins.append(seconds)
        self._seen.append(seen)

    def begin(self, frame: int) -> float:
        """See `Clock`."""
        place = self._at(frame)
        return self._begins[place] + (frame - self._frames[place]) * self._step if place >= 0 else frame * self._step

    def end(self, frame: int) -> float:
        """See `Clock`."""
        place = self._at(frame - 1)
        if place < 0:
            return frame * self._step
        last, begun = self._frames[place], self._begins[place]
        if place + 1 < len(self._frames) and self._frames[place + 1] == frame == last + 1:
            step = self._begins[place + 1] - begun
            return self._begins[place + 1] if not self._is_gap(step) else begun + self._step
        return begun + (frame - last) * self._step

    def seen(self, start: int, end: int) -> float:
        """See `Clock`."""
        return self._seen_before(end) - self._seen_before(start)

    def _seen_before(self, frame: int) -> float:
        place = self._at(frame)
        if place < 0:
            return 0.0
        return self._seen[place] + min(frame - self._frames[place], 1) * self._step

    def _at(self, frame: int) -> int:
        return bisect_right(self._frames, frame) - 1

    def forget(self, before: int, keep: Collection[int] = ()) -> None:
        """Nobody asks for frames before this one any more, but for those of `keep`."""
        if self._at(before) < _OFTEN:
            return
        kept = [n for n, frame in enumerate(self._frames) if frame >= before - 1 or frame in keep]
        self._frames = [self._frames[n] for n in kept]
        self._begins = [self._begins[n] for n in kept]
        self._seen = [self._seen[n] for n in kept]
