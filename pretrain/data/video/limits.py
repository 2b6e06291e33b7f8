"""What a picture may be: stated limits, asked before anything of it is decoded, scaled or held in memory.

A picture of 1x100000 pixels is small, but scaled until it covers a network's input it takes gigabytes a frame. So its
shape is limited as well as its size, once, for every reader and every use: files, folders of images, packs, streams.
"""

from __future__ import annotations

from pretrain.data.video.info import VideoError

MAX_PIXELS = 1 << 27
"""134 million: 16K video (15360x8640) is below it. As RGB that is 400 MB a frame."""
MAX_SIDES_RATIO = 32
"""Longer side over shorter one; four cameras side by side in 32:9 are 14."""


def check_picture(path: str, width: int, height: int) -> None:
    """VideoError unless a picture of so many pixels, as displayed, can be worked with."""
    if width < 1 or height < 1:
        raise VideoError(f"{path}: its picture is {width}x{height} pixels: there is nothing to see; leave it out")
    if width * height > MAX_PIXELS:
        raise VideoError(
            f"{path}: its picture is {width}x{height} pixels, more than the limit of {MAX_PIXELS / 1e6:.0f} million; "
            "scale it down, or leave it out"
        )
    ratio = max(width, height) / min(width, height)
    if ratio > MAX_SIDES_RATIO:
        raise VideoError(
            f"{path}: its picture is {width}x{height} pixels, one side {ratio:.0f} times the other and the limit is "
            f"{MAX_SIDES_RATIO}; crop it to the part that matters, or leave it out"
        )
