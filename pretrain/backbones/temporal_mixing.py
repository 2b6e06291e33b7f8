"""Temporal mixing on top of an image model that sees one frame at a time. Ours; no paper."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import nn

DILATIONS = (1, 2, 4)
"""Three layers of kernel 3: each position sees 15 frames, all of a 16-frame clip but one."""


class TemporalMixing(nn.Module):
    """Residual layers along time at every place of the map: (B, D, T, h, w) -> (B, D, T, h, w).

    The last linear map of each layer starts at zero, so the whole starts as the identity and the features of a
    pretrained image model are untouched at step 0.
    """

    def __init__(self, dim: int, dilations: tuple[int, ...] = DILATIONS) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TemporalMixingLayer(dim, dilation) for dilation in dilations)

    def forward(self, feature_map: torch.Tensor) -> torch.Tensor:
        """Feature map (B, D, T, h, w) -> the same shape, mixed along T."""
        height, width = feature_map.shape[-2:]
        tracks = rearrange(feature_map, "b d t h w -> (b h w) d t")
        for layer in self.layers:
            tracks = layer(tracks)
        return rearrange(tracks, "(b h w) d t -> b d t h w", h=height, w=width)


class TemporalMixingLayer(nn.Module):
    """`x + W2 gelu(W1 norm(depthwise_conv(x)))` on tracks (N, D, T); W2 starts at zero.

    The hidden width is at most 512: with D = 2048 a full-width layer would cost more than the image model's last stage.
    """

    def __init__(self, dim: int, dilation: int) -> None:
        super().__init__()
        hidden = min(dim, 512)
        self.depthwise = nn.Conv1d(dim, dim, kernel_size=3, padding=dilation, dilation=dilation, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, hidden)
        self.activation = nn.GELU()
        self.project = nn.Linear(hidden, dim)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, tracks: torch.Tensor) -> torch.Tensor:
        """Tracks (N, D, T) -> the same shape."""
        mixed = self.norm(self.depthwise(tracks).transpose(1, 2))
        return tracks + self.project(self.activation(self.expand(mixed))).transpose(1, 2)
