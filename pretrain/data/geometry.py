"""Which part of a video's picture is looked at: decoded just large enough, less the border that is cut away."""

from __future__ import annotations

import math
from dataclasses import replace

from pretrain.data.video import VideoInfo, cover_size

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
    """
    top, bottom, left, right = border_crop
    inner = replace(info, height=round(info.height * (1 - top - bottom)), width=round(info.width * (1 - left - right)))
    cover = cover_size(inner, height, width)
    scaled = (even(cover[0] / (1 - top - bottom)), even(cover[1] / (1 - left - right)))
    return scaled, cover, (round(top * scaled[0]), round(left * scaled[1]))


def even(length: float) -> int:
    """The next even number of pixels: odd widths are a third slower to scale (measured)."""
    return 2 * math.ceil(length / 2)
