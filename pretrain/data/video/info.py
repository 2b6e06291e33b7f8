"""What is known of a video before its frames are read, and the one error of this package."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pretrain.errors import UserError
from pretrain.names import shown


class VideoError(UserError):
    """A video cannot be read, or not the frames that were asked for.

    The text starts with the path, names the reason and what to do; it is one line, whatever the path is.
    """

    def __init__(self, text: str) -> None:
        super().__init__(shown(text))


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Facts of one video; sizes are those of the picture as displayed, after rotation."""

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


def cover_size(info: VideoInfo, height: int, width: int) -> tuple[int, int]:
    """The smallest even `(height, width)` in the video's aspect ratio that covers `height` x `width`.

    Even, because scaling to an odd width takes half as long again (measured; FFmpeg then interpolates colour in
    full), and cropping follows anyway. A video smaller than that is enlarged.
    """
    scale = max(height / info.height, width / info.width)
    return _even(info.height * scale), _even(info.width * scale)


def _even(pixels: float) -> int:
    return 2 * math.ceil(pixels / 2 - 1e-6)  # less a hair: 112.0000001 is 112
