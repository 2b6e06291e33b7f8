"""Temporal mixing on top of an image model that sees one frame at a time. Ours; no paper.

`TemporalMixing` where the image model trains as well; `TemporalModule`, far less work, where it is frozen.
"""

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


class TemporalModule(nn.Module):
    """A narrow network along time at every place of a frozen network's map: (B, D, T, h, w) -> (B, width, T, h, w).

        y = down(norm(x));  layers(gelu(norm(stem(2 (y - its mean over time), y / 4))))

    As small3d's stem: under a static camera what differs from the clip's mean is what moves, without its background.
    What it gives is the map; x is not added: with it (ten times wider, the same in every order of the frames) the
    tasks' heads fitted x, and losses rose above those of guessing (124 steps at small3d's learning rate). Whoever wants
    x beside it fuses two feature sets. Steps on kept maps cost nothing else than this and the heads; the norm of x has
    no weights, so that no gradient has to be as wide as x.
    """

    def __init__(self, dim: int, width: int = 128, dilations: tuple[int, ...] = DILATIONS) -> None:
        super().__init__()
        self.map_dim, self.width = dim, width
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.down = nn.Linear(dim, width)
        self.stem = TemporalConvolution(2 * width, width, dilation=1)
        self.layers = nn.ModuleList(TemporalConvolution(width, width, dilation) for dilation in dilations)

    def forward(self, feature_map: torch.Tensor) -> torch.Tensor:
        """Feature map (B, D, T, h, w) -> (B, width, T, h, w)."""
        height, width = feature_map.shape[-2:]
        places = rearrange(feature_map, "b d t h w -> b t h w d")
        tracks = rearrange(self.down(self.norm(places)), "b t h w d -> (b h w) d t")
        tracks = self.stem(torch.cat([2 * (tracks - tracks.mean(dim=2, keepdim=True)), tracks / 4], dim=1))
        for layer in self.layers:
            tracks = tracks + layer(tracks)
        return rearrange(tracks, "(b h w) d t -> b d t h w", h=height, w=width)


class TemporalConvolution(nn.Module):
    """`gelu(norm(conv(x)))` on tracks (N, inputs, T) -> (N, outputs, T)."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(inputs, outputs, kernel_size=3, padding=dilation, dilation=dilation)
        self.norm = nn.LayerNorm(outputs)
        self.activation = nn.GELU()

    def forward(self, tracks: torch.Tensor) -> torch.Tensor:
        """Tracks (N, inputs, T) -> (N, outputs, T)."""
        normalised = self.norm(self.convolution(tracks).transpose(1, 2)).transpose(1, 2)
        activated: torch.Tensor = self.activation(normalised)
        return activated
