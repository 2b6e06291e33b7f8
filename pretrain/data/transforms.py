"""What happens to clips on the device: crop, flip, jitter, noise, normalisation.

Every random number is drawn per clip on the host from the item's own generator (`draw_augmentation`) and applied on the
device in one batch (`ClipTransform`). So a clip looks the same on whichever process and device it lands.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from pretrain.backbones import Clip
from pretrain.data.settings import AugmentConfig

NOISE_TILES = 64


class Augmentation(NamedTuple):
    """The drawn numbers of a clip, or of many (one more leading axis each)."""

    crop: np.ndarray
    """float32 (4,): centre x, centre y, half width, half height, in the frame's own coordinates from -1 to 1; a
    negative half width mirrors."""
    colour: np.ndarray
    """float32 (4,): gain of red, green, blue, and a bias."""
    frames: np.ndarray
    """float32 (frames, 2): gain and bias of each frame."""
    noise: np.ndarray
    """float32 (2,): standard deviation, and the number of the first noise tile."""


def neutral_augmentation(num_frames: int) -> Augmentation:
    """The whole frame, unchanged: what validation and feature extraction use."""
    frames = np.tile(np.array([1.0, 0.0], np.float32), (num_frames, 1))
    return Augmentation(
        np.array([0, 0, 1, 1], np.float32), np.array([1, 1, 1, 0], np.float32), frames, np.zeros(2, np.float32)
    )


def draw_augmentation(config: AugmentConfig, num_frames: int, rng: np.random.Generator) -> Augmentation:
    """Draw one clip's augmentation."""
    half = math.sqrt(rng.uniform(config.min_crop_area, config.max_crop_area))
    stretch = math.sqrt(rng.uniform(0.85, 1 / 0.85)) if config.min_crop_area < 1 else 1.0
    half_width, half_height = min(1.0, half * stretch), min(1.0, half / stretch)
    mirror = -1.0 if config.flip and rng.integers(2) else 1.0
    centre = rng.uniform(-1, 1, 2) * (1 - np.array([half_width, half_height]))
    gain = (1 + rng.uniform(-config.contrast, config.contrast)) * (
        1 + rng.uniform(-config.colour_cast, config.colour_cast, 3)
    )
    colour = np.append(gain, rng.uniform(-config.brightness, config.brightness))
    jitter = rng.uniform(-config.frame_jitter, config.frame_jitter, (num_frames, 2)) + np.array([1.0, 0.0])
    noise = np.array([rng.uniform(0, config.noise), rng.integers(NOISE_TILES)])
    crop = np.array([*centre, half_width * mirror, half_height])
    return Augmentation(*(part.astype(np.float32) for part in (crop, colour, jitter, noise)))


class ClipTransform(nn.Module):
    """uint8 clips to what a backbone wants: `(B, T, h, w, 3)` -> normalised float32 `(B, 3, T, height, width)`."""

    mean: Tensor
    std: Tensor
    tiles: Tensor

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self.height, self.width = clip.height, clip.width
        self.register_buffer("mean", torch.tensor(clip.mean).view(1, 1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(clip.std).view(1, 1, 3, 1, 1), persistent=False)
        # noise is a bank of fixed tiles, picked per frame: normal numbers for every pixel of every step would cost
        # as much as decoding, and could not be the same for one process and for several
        bank = torch.randn(NOISE_TILES, 1, clip.height, clip.width, generator=torch.Generator().manual_seed(0))
        self.register_buffer("tiles", bank, persistent=False)

    @torch.no_grad()
    def forward(self, clips: Tensor, augmentation: list[Tensor]) -> Tensor:
        """Apply `augmentation` (the fields of `Augmentation`, each with a leading batch axis) to uint8 clips."""
        crop, colour, frames, noise = augmentation
        count, length = clips.shape[:2]
        pixels = rearrange(clips, "b t h w c -> b (t c) h w").to(torch.float32).div_(255)
        theta = torch.zeros(count, 2, 3, device=clips.device)
        theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = crop[:, 2], crop[:, 3], crop[:, :2]
        grid = F.affine_grid(theta, [count, 1, self.height, self.width], align_corners=False)
        pixels = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
        pixels = rearrange(pixels, "b (t c) h w -> b t c h w", c=3)
        gain = rearrange(colour[:, :3], "b c -> b 1 c 1 1") * rearrange(frames[:, :, 0], "b t -> b t 1 1 1")
        bias = rearrange(colour[:, 3:] + frames[:, :, 1], "b t -> b t 1 1 1")
        # contrast turns about middle grey; one multiply-add does colour, jitter and normalisation
        pixels = pixels * (gain / self.std) + (0.5 - 0.5 * gain + bias - self.mean) / self.std
        if bool((noise[:, 0] > 0).any()):
            tile = (noise[:, 1:].long() + torch.arange(length, device=clips.device)) % NOISE_TILES
            pixels = pixels + self.tiles[tile] * (rearrange(noise[:, 0], "b -> b 1 1 1 1") / self.std)
        return rearrange(pixels, "b t c h w -> b c t h w")


class MapTransform(nn.Module):
    """Kept maps to what follows the image network: `(B, T, h, w, D)` -> float32 `(B, D, T, h, w)`, mirrored at most."""

    @torch.no_grad()
    def forward(self, maps: Tensor, augmentation: list[Tensor]) -> Tensor:
        """Mirror the maps whose crop (of the fields of `Augmentation` the first) has a negative half width."""
        mirrored = rearrange(augmentation[0][:, 2] < 0, "b -> b 1 1 1 1")
        values = maps.to(torch.float32)
        # the view of numbers in dim-last order already is what channels_last_3d means
        return rearrange(torch.where(mirrored, values.flip(3), values), "b t h w d -> b d t h w")
