"""Pictures of the last seconds of a camera, for who wants to see what an alarm was: in memory, as JPEG, bounded.

The frames that are scored are as small as the network wants them, cut and not always there (dropped). So the thread
that decodes keeps its own: whole pictures at a size for people, so many a second. Measured on one core, 1280x720 and
1920x1080 to 640x360: 2 to 3 ms of processor time and about 40 kB each, so 3 % of a core and 0.5 MB a second.
"""

from __future__ import annotations

import io
import threading
from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pretrain.data.video import Picture, StoredPicture

QUALITY = 85
RATE_SLACK = 0.25
"""Of a step between kept frames: times tremble, and a frame that is a little early for its turn is it all the same."""

ROUNDING = 1e-6


class KeptFrame(NamedTuple):
    """A frame as it is kept."""

    number: int
    """As the source counts."""
    seconds: float
    """As the source says: the frame's own time in the run."""
    jpeg: bytes
    size: tuple[int, int]
    """(width, height) of the video as displayed: boxes are in these pixels."""

    def pixels(self) -> NDArray[np.uint8]:
        """RGB, uint8 (height, width, 3), as small as it was kept."""
        with Image.open(io.BytesIO(self.jpeg)) as image:
            return np.asarray(image.convert("RGB"))


class PictureRing:
    """The newest frames, in order. One thread adds, others look. Memory holds `megabytes` of JPEG at most."""

    def __init__(self, seconds: float, megabytes: float, frames_per_second: float, width: int) -> None:
        """Frames of the last so many seconds, at most so many a second and so wide. `hold_from` keeps older ones."""
        self.seconds, self.limit, self.width = seconds, int(megabytes * 1e6), width
        self.bytes = 0
        self.is_short = False
        """Whether frames were let go before their time, because memory was full."""
        self._step, self._due = 1 / frames_per_second, 0.0
        self._frames: deque[KeptFrame] = deque()
        self._held_from: float | None = None
        self._changed = threading.Condition()
        self._picture: tuple[StoredPicture, Picture] | None = None

    def take(self, stored: StoredPicture, frame: Any, number: int, seconds: float) -> None:
        """The next decoded frame, kept if it is time for one. For the thread that decodes."""
        last = self._frames[-1].seconds if self._frames else None
        if last is not None and last <= seconds < self._due - self._step * RATE_SLACK:
            return
        is_regular = last is not None and abs(seconds - self._due) <= self._step
        self._due = (self._due if is_regular else seconds) + self._step
        if self._picture is None or self._picture[0] != stored:
            self._picture = stored, Picture(stored, self._size(stored))
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(self._picture[1].rgb(frame))).save(file, "JPEG", quality=QUALITY)
        height, width = stored.displayed
        self.add(KeptFrame(number, seconds, file.getvalue(), (width, height)))

    def _size(self, stored: StoredPicture) -> tuple[int, int]:
        """(height, width), even as video wants them; never larger than the video's own."""
        height, width = stored.displayed
        scale = min(1.0, self.width / width)
        return max(2, round(height * scale / 2) * 2), max(2, round(width * scale / 2) * 2)

    def add(self, frame: KeptFrame) -> None:
        """A frame to keep; old ones go."""
        with self._changed:
            self._frames.append(frame)
            self.bytes += len(frame.jpeg)
            oldest = frame.seconds - self.seconds
            if self._held_from is not None:
                oldest = min(oldest, self._held_from - ROUNDING)
            while len(self._frames) > 1 and (self.bytes > self.limit or self._frames[0].seconds < oldest):
                self.is_short |= self._frames[0].seconds >= oldest
                self.bytes -= len(self._frames.popleft().jpeg)
            self._changed.notify_all()

    def hold_from(self, seconds: float | None) -> None:
        """Keep what is not older than that, as far as memory allows; None: the last seconds alone."""
        with self._changed:
            self._held_from = seconds

    def nearest(self, number: int) -> KeptFrame | None:
        """The frame nearest to that number; None where there is none at all."""
        with self._changed:
            return min(self._frames, key=lambda frame: abs(frame.number - number), default=None)

    @property
    def newest(self) -> float | None:
        """Seconds of the newest frame."""
        with self._changed:
            return self._frames[-1].seconds if self._frames else None

    def between(self, begin: float, end: float) -> list[KeptFrame]:
        """Frames of these seconds, both ends included."""
        with self._changed:
            return [frame for frame in self._frames if begin - ROUNDING <= frame.seconds <= end + ROUNDING]

    def wait_until(self, seconds: float, timeout: float) -> bool:
        """Wait for the frame of that time, or one after it; False: it did not come so soon."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._frames) and self._frames[-1].seconds >= seconds, timeout)
