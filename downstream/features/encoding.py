"""From the pixels of snippets to their features: crops, the encoder, the mean over a snippet's clips."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from downstream.features.crops import cut_crops
from downstream.features.encoders import Encoder
from downstream.features.zones import PictureMask


def crop_clips(pixels: NDArray[np.uint8], encoder: Encoder, crops: int, device: torch.device) -> Tensor:
    """uint8 (snippets, clips, frames, height, width, 3) -> what the encoder sees, by snippet, crop and clip.

    uint8 (snippets * crops * clips, frames, out_height, out_width, 3) on `device`.
    """
    frames = torch.from_numpy(pixels).to(device)
    return cut_crops(frames, crops, encoder.clip.height, encoder.clip.width).flatten(0, 2)


def add_means(sums: NDArray[np.float32], first: int, features: Tensor, clips_each: int) -> None:
    """Add the features of clips to the rows of `sums`, the mean of `clips_each` each; `first` clips came before."""
    rows = torch.arange(first, first + len(features)) // clips_each
    torch.from_numpy(sums).index_add_(0, rows, features / clips_each)


def inside_alone(features: Tensor, first: int, clips_each: int, mask: PictureMask) -> Tensor:
    """Features of whole pictures (clips, dim) with motion, the last number, of what counts of the picture.

    `first` clips came before; they come by snippet, crop and clip.
    """
    crops = torch.arange(first, first + len(features)) // clips_each % len(mask.shares)
    return torch.cat([features[:, :-1], mask.motion(features[:, -1], crops).unsqueeze(1)], dim=1)


def encode_snippets(
    pixels: NDArray[np.uint8], encoder: Encoder, crops: int, device: torch.device, mask: PictureMask | None = None
) -> NDArray[np.float32]:
    """A few snippets (snippets, clips, frames, height, width, 3) at once -> (snippets, crops or cells, dim).

    `mask`: by which they were hidden already (`PictureMask.hidden`).
    """
    features = encoder.features(crop_clips(pixels, encoder, crops, device)).cpu()
    return snippet_means(features, pixels, encoder, crops, mask)


def snippet_means(
    features: Tensor, pixels: NDArray[np.uint8], encoder: Encoder, crops: int, mask: PictureMask | None
) -> NDArray[np.float32]:
    """Features of all clips of these snippets, by snippet, crop and clip -> (snippets, crops or cells, dim)."""
    if mask is not None and encoder.motion:
        features = inside_alone(features, 0, pixels.shape[1], mask)
    sums = np.zeros((len(pixels) * crops, *features.shape[1:]), np.float32)
    add_means(sums, 0, features, pixels.shape[1])
    return sums.reshape(len(pixels), -1, features.shape[-1])
