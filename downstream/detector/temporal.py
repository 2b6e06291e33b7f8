"""How a detector looks along time: not at all, by dilated convolutions, by attention, or as published detectors do."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from downstream.detector.config import HEADS, TemporalEncoder
from downstream.detector.glance_focus import GlanceFocus
from downstream.detector.global_local import GlobalLocal
from downstream.detector.multi_scale_attention import MultiScaleAttention
from downstream.detector.window_graph import WindowGraph

LAYERS = 1
"""Of the transformer [ours, not studied]: training videos are few, so it is as small as can be."""


class NoContext(nn.Module):
    """Every snippet by itself."""

    reach: int | None = 0
    """Snippets on each side that a score depends on; None: all of them."""

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Features (B, T, D) -> the same."""
        return features


class MultiScale(nn.Module):
    """Dilated convolutions over 3 snippets at distances 1, 2 and 4, side by side, added to the input.

    After the pyramid of RTFM (2021) [ours: no self-attention beside it; layer norm; padding is set to zero before every
    convolution, so that a padded bag gives what the bare one gives].
    """

    def __init__(self, width: int, dilations: tuple[int, ...] = (1, 2, 4)) -> None:
        super().__init__()
        self.reach: int | None = max(dilations)
        share = width // len(dilations)
        sizes = [share] * (len(dilations) - 1) + [width - share * (len(dilations) - 1)]
        self.branches = nn.ModuleList(
            nn.Conv1d(width, size, 3, padding=dilation, dilation=dilation)
            for size, dilation in zip(sizes, dilations, strict=True)
        )
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Linear(width, width)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Features (B, T, D), mask bool (B, T) -> (B, T, D)."""
        real = rearrange(features * mask.unsqueeze(2), "b t d -> b d t")
        context = torch.cat([branch(real) for branch in self.branches], dim=1)
        return features + self.mix(F.relu(self.norm(rearrange(context, "b d t -> b t d"))))


class Attention(nn.Module):
    """A small pre-norm transformer with sinusoidal positions [ours]."""

    reach: int | None = None

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, HEADS, 2 * width, dropout, batch_first=True, norm_first=True)
            for _ in range(LAYERS)
        )

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Features (B, T, D), mask bool (B, T) -> (B, T, D)."""
        context = features + positions(features.shape[1], features.shape[2], features.device)
        for layer in self.layers:
            context = layer(context, src_key_padding_mask=~mask)
        return context


class Smoothing(nn.Module):
    """A Gaussian mean over time of the numbers that become scores; padding takes no part [ours].

    What is abnormal in one snippet is seldom over in the next: a mean over neighbours takes noise away and little else.
    """

    weights: Tensor

    def __init__(self, sigma: float) -> None:
        """`sigma`: in snippets; 0 changes nothing."""
        super().__init__()
        self.reach = math.ceil(2 * sigma)
        steps = torch.arange(-self.reach, self.reach + 1, dtype=torch.float32)
        weights = torch.exp(-((steps / max(sigma, 1e-6)) ** 2) / 2)
        # not saved: the configuration says all
        self.register_buffer("weights", (weights / weights.sum()).view(1, 1, -1), persistent=False)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Values (B, T), mask bool (B, T) -> (B, T)."""
        if not self.reach:
            return values
        real = mask.to(values.dtype).unsqueeze(1)
        weights = self.weights.to(values.dtype)
        summed = F.conv1d(values.unsqueeze(1) * real, weights, padding=self.reach)
        share = F.conv1d(real, weights, padding=self.reach)
        return (summed / share.clamp(min=1e-6)).squeeze(1)


def positions(length: int, width: int, device: torch.device) -> Tensor:
    """Sinusoidal position codes (length, width), of the size of a tenth: features are about 1."""
    half = (width + 1) // 2
    rates = torch.exp(torch.arange(half, device=device) * (-math.log(10_000.0) / half))
    angles = torch.arange(length, device=device).unsqueeze(1) * rates
    return 0.1 * torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width]


def temporal_encoder(name: TemporalEncoder, dim: int, width: int, dropout: float) -> nn.Module:
    """The encoder of that name, from features (B, T, dim) and mask (B, T) to (B, T, width).

    `dim` and `width` are equal but for those that embed.
    """
    if name == "global_local":
        return GlobalLocal(width, dropout, HEADS, dim)
    if name == "glance_focus":
        return GlanceFocus(dim, width, dropout)
    plain: dict[TemporalEncoder, Callable[[], nn.Module]] = {
        "none": NoContext,
        "multi_scale": lambda: MultiScale(width),
        "transformer": lambda: Attention(width, dropout),
        "multi_scale_attention": lambda: MultiScaleAttention(width, dropout),
        "window_graph": lambda: WindowGraph(width),
    }
    return plain[name]()
