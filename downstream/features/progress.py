"""How far extraction is: a bar on a terminal, a line every ten seconds elsewhere, always in frames per second."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from tqdm import tqdm

from pretrain.names import shown
from pretrain.tracking import clock

LINE_SECONDS = 10.0


class FrameProgress:
    """Counts frames; the time left is guessed from the share of the work, which is known before any video is opened."""

    def __init__(self, work: Mapping[str, float], show: bool, label: str) -> None:
        self._work, self._total_work = work, max(sum(work.values()), 1e-9)
        self._done_work = 0.0
        self.frames = 0
        self._label, self._show = label, show
        self._started = self._last_line = time.monotonic()
        terminal = sys.stderr.isatty()
        self._bar = tqdm(desc=label, unit="frame", unit_scale=True, disable=not (show and terminal), leave=False)
        self._lines = show and not terminal

    def add(self, name: str, frames: int, of: int) -> None:
        """`frames` more of the `of` frames of video `name` are done."""
        self.frames += frames
        self._done_work += self._work[name] * frames / of
        if not self._bar.disable:
            # the videos' frames are known only once they are opened: the total is what this share promises
            self._bar.total = round(self.frames / min(1.0, max(self._done_work / self._total_work, 1e-9)))
            self._bar.update(frames)
        elif self._lines and time.monotonic() - self._last_line >= LINE_SECONDS:
            self._last_line = time.monotonic()
            print(self.line(), file=sys.stderr, flush=True)

    def line(self) -> str:
        """`extracting: 12 % of the videos, 5120 frames, 830 frames/s, 0:41 left`."""
        share = min(1.0, self._done_work / self._total_work)
        seconds = self.seconds()
        left = clock(seconds * (1 - share) / share) if share else "?"
        speed = self.frames / max(seconds, 1e-9)
        return (
            f"{self._label}: {100 * share:.0f} % of the videos, {self.frames} frames, {speed:.0f} frames/s, {left} left"
        )

    def say(self, text: str) -> None:
        """A line on stderr that leaves the bar whole."""
        tqdm.write(shown(text), file=sys.stderr)

    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()
