"""What is known of a video before its frames are read, and the one error of this package."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

from av.error import FFmpegError

from pretrain.data.remote import RemoteError, is_remote, plain_addresses
from pretrain.errors import UserError
from pretrain.names import shown


class VideoError(UserError):
    """A video cannot be read, or not the frames that were asked for.

    The text starts with the path, names the reason and what to do; it is one line, whatever the path is.
    """

    def __init__(self, text: str) -> None:
        super().__init__(shown(plain_addresses(text)))


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Whatever the disk says while a video is read is that video's VideoError, and nobody else's.

    Recorders' ring buffers remove files while a run goes on, network shares come and go: one video fails, the others
    go on.
    """
    try:
        yield
    except RemoteError as error:
        raise VideoError(str(error)) from error
    except (OSError, EOFError, FFmpegError) as error:
        if not is_remote(path) and not os.path.lexists(path):
            raise VideoError(
                f"{path}: no such file any more; it was removed or renamed, or its disk is gone"
            ) from error
        reason = getattr(error, "strerror", None) or error
        raise VideoError(f"{path}: cannot be read ({reason}); check its permissions and its disk") from error


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Facts of one video; sizes are those of the picture as displayed: turned, and of square pixels."""

    num_frames: int
    """How many frames a full decode gives (see `PacketIndex` for when that was counted and when derived)."""
    fps: float
    """Mean frames per second over the whole video; 25 where nothing says (a folder of images)."""
    width: int
    height: int
    duration_seconds: float
    codec: str
    """FFmpeg's name of the codec; `images` for a folder; `unknown` from a reader that does not tell."""
    rotation: int
    """Degrees clockwise by which the stored picture is turned for display, already done in `read_frames`."""
    is_constant_rate: bool
    """Whether all frames lie equally far apart in time, within a quarter of the median distance."""
    other_sizes: tuple[tuple[int, int, int], ...] = ()
    """Where the picture has another size than before: (frame, width, height). All are read at the size of the first."""

    def __post_init__(self) -> None:
        # JSON, in which caches keep it, knows lists alone
        sizes = tuple((int(first), int(width), int(height)) for first, width, height in self.other_sizes)
        object.__setattr__(self, "other_sizes", sizes)

    def size_at(self, frame: int) -> tuple[int, int]:
        """`(width, height)` of a frame of its own."""
        sizes = [(width, height) for first, width, height in self.other_sizes if first <= frame]
        return sizes[-1] if sizes else (self.width, self.height)

    def pieces(self, start: int, end: int) -> list[tuple[int, int]]:
        """Frames `[start, end)` cut where the picture changes its size."""
        cuts = [start, *(first for first, _, _ in self.other_sizes if start < first < end), end]
        return list(pairwise(cuts))

    @property
    def size_note(self) -> str:
        """A clause on that; empty where the picture keeps its size."""
        if not self.other_sizes:
            return ""
        first, width, height = self.other_sizes[0]
        return (
            f"the picture changes its size {len(self.other_sizes)} time(s), first to {width}x{height} at frame {first}"
            f"; all is read at {self.width}x{self.height}"
        )


def displayed_size(width: int, height: int, quarter_turns: int, pixel_aspect: float) -> tuple[int, int]:
    """`(height, width)` in square pixels of a stored picture, turned clockwise by so many quarters.

    Its height is kept and its width is stretched or shrunk, as players do, before it is turned.
    """
    square = max(1, round(width * pixel_aspect))
    return (square, height) if quarter_turns % 2 else (height, square)


def cover_size(info: VideoInfo, height: int, width: int) -> tuple[int, int]:
    """The smallest even `(height, width)` in the video's aspect ratio that covers `height` x `width`.

    Even, because scaling to an odd width takes half as long again (measured; FFmpeg then interpolates colour in
    full), and cropping follows anyway. A video smaller than that is enlarged.
    """
    scale = max(height / info.height, width / info.width)
    return _even(info.height * scale), _even(info.width * scale)


def _even(pixels: float) -> int:
    return 2 * math.ceil(pixels / 2 - 1e-6)  # less a hair: 112.0000001 is 112
