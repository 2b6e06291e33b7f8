"""Which parts of a frame are encoded: one, five or ten crops of the encoder's own size, in a stated order.

Frames are decoded once, just covering the crops, and every crop is cut from them on the device.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from downstream.features.config import CROPS, check_crops
from pretrain.data.geometry import DECODE_MARGIN, BorderCrop, covering
from pretrain.data.video import VideoInfo
from pretrain.errors import UserError

MARGIN = {1: 1.0, 5: DECODE_MARGIN, 10: DECODE_MARGIN}
"""Frames are this much larger than a crop: a single crop takes all it can, corners need room to differ."""


class Region(NamedTuple):
    """How a video's frames are decoded, and which part of them crops are cut from."""

    decode_height: int
    decode_width: int
    y: int
    x: int
    height: int
    width: int


class CropBox(NamedTuple):
    """A crop in pixels of the region as filmed: cut at (y, x), then turned left to right if `mirrored`."""

    y: int
    x: int
    mirrored: bool


def decode_region(info: VideoInfo, crops: int, out_height: int, out_width: int, border_crop: BorderCrop) -> Region:
    """The region of a video for that many crops of `out_height` x `out_width` pixels; at least as large as they."""
    check_crops(crops)
    margin = MARGIN[crops]
    scaled, cover, (y, x) = covering(info, round(out_height * margin), round(out_width * margin), border_crop)
    return Region(*scaled, min(y, scaled[0] - cover[0]), min(x, scaled[1] - cover[1]), *cover)


def centre_region(info: VideoInfo, height: int, width: int, border_crop: BorderCrop) -> Region:
    """The region of the one centre crop itself: exactly `height` x `width` pixels."""
    region = decode_region(info, 1, height, width, border_crop)
    box = crop_boxes(1, region.height, region.width, height, width)[0]
    return region._replace(y=region.y + box.y, x=region.x + box.x, height=height, width=width)


def crop_boxes(crops: int, height: int, width: int, out_height: int, out_width: int) -> list[CropBox]:
    """Boxes of `CROPS[crops]`, in that order, in a region of `height` x `width` pixels.

    UserError for another number than 1, 5 or 10, and where the region is smaller than a crop.
    """
    check_crops(crops)
    if height < out_height or width < out_width:
        raise UserError(f"a region of {height}x{width} pixels holds no crop of {out_height}x{out_width}")
    bottom, right = height - out_height, width - out_width
    corners = {
        "centre": (bottom // 2, right // 2),
        "top_left": (0, 0),
        "top_right": (0, right),
        "bottom_left": (bottom, 0),
        "bottom_right": (bottom, right),
    }
    boxes = []
    for name in CROPS[crops]:
        mirrored = name.endswith("_mirrored")
        y, x = corners[name.removesuffix("_mirrored")]
        boxes.append(CropBox(y, right - x if mirrored else x, mirrored))
    return boxes


def cut_crops(frames: Tensor, crops: int, out_height: int, out_width: int) -> Tensor:
    """Frames (N, ..., height, width, 3) -> (N, crops, ..., out_height, out_width, 3), on their device."""
    cut = []
    for y, x, mirrored in crop_boxes(crops, frames.shape[-3], frames.shape[-2], out_height, out_width):
        part = frames[..., y : y + out_height, x : x + out_width, :]
        cut.append(part.flip(-2) if mirrored else part)
    return torch.stack(cut, dim=1)
