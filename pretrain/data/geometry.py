"""Which part of a video's picture is looked at: decoded just large enough, less the border that is cut away."""

from __future__ import annotations

import math
from dataclasses import replace

from pretrain.data.video import MAX_PIXELS, VideoError, VideoInfo, cover_size

BorderCrop = tuple[float, float, float, float]
"""Shares of the frame cut off at top, bottom, left, right."""
NO_BORDER: BorderCrop = (0.0, 0.0, 0.0, 0.0)
DECODE_MARGIN = 1.15
"""Frames are decoded this much larger than the network's input where a crop is to be chosen from them."""


def covering(
    info: VideoInfo, height: int, width: int, border_crop: BorderCrop
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """How to decode frames of which `height` x `width` pixels are covered once the border is cut away.

    Returns (height, width) to decode at, (height, width) of what the border leaves, and (y, x) where that begins.
    VideoError where frames would have to be enlarged beyond the limit for it.
    """
    top, bottom, left, right = border_crop
    inner = replace(
        info,
        height=max(1, round(info.height * (1 - top - bottom))),
        width=max(1, round(info.width * (1 - left - right))),
    )
    cover = cover_size(inner, height, width)
    scaled = (even(cover[0] / (1 - top - bottom)), even(cover[1] / (1 - left - right)))
    if scaled[0] * scaled[1] > MAX_PIXELS:
        raise VideoError(
            f"the border leaves {inner.width}x{inner.height} of {info.width}x{info.height} pixels; to cover "
            f"{width}x{height} with that, frames would become {scaled[1]}x{scaled[0]}, more than the limit of "
            f"{MAX_PIXELS / 1e6:.0f} million pixels: cut away less"
        )
    return scaled, cover, (round(top * scaled[0]), round(left * scaled[1]))


def even(length: float) -> int:
    """The next even number of pixels: odd widths are a third slower to scale (measured)."""
    return 2 * math.ceil(length / 2)
