"""A small video network that learns on a CPU: the default backbone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


class ConvNormAct(nn.Sequential):
    """Convolution, group normalisation, GELU."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        padding = tuple(size // 2 for size in kernel)
        super().__init__(
            nn.Conv3d(inputs, outputs, kernel, stride, padding, bias=False),
            nn.GroupNorm(8, outputs),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """A residual block with space and time apart: 1x3x3, then 3x1x1 (R(2+1)D, Tran 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.space = ConvNormAct(channels, channels, (1, 3, 3), (1, 1, 1))
        self.time = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0), bias=False)
        self.norm = nn.GroupNorm(8, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Same shape in and out."""
        return F.relu(features + self.norm(self.time(self.space(features))))


class Small3D(nn.Module):
    """Four stages of separable 3D convolutions, about 0.6 million weights.

    `(B, 3, T, H, W)` -> `(B, width, ceil(T/2), ceil(H/16), ceil(W/16))`. Ours; no published weights exist.

    Two choices are made for surveillance footage on small hardware: the stem sees each frame beside its difference
    from the frame before (with a static camera that is where the signal is, and it need not be learnt first), and
    normalisation is by groups, not by batches: results do not depend on how a batch is shared out over processes.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        quarter, half = width // 4, width // 2
        self.stem = ConvNormAct(6, quarter, (1, 7, 7), (1, 4, 4))
        self.stages = nn.ModuleList(
            [
                nn.Sequential(ConvNormAct(quarter, quarter, (3, 3, 3), (1, 1, 1)), Residual(quarter)),
                nn.Sequential(ConvNormAct(quarter, half, (3, 3, 3), (1, 2, 2)), Residual(half)),
                nn.Sequential(ConvNormAct(half, width, (3, 3, 3), (2, 2, 2)), Residual(width)),
            ]
        )
        self.feature_dim = width
        self.activation_checkpointing = False

    def forward(self, clips: Tensor) -> Tensor:
        """Normalised clips `(B, 3, T, H, W)` -> feature map."""
        difference = clips - torch.cat([clips[:, :, :1], clips[:, :, :-1]], dim=2)
        features = self.stem(torch.cat([clips, difference], dim=1))
        for stage in self.stages:
            if self.activation_checkpointing and self.training:
                features = checkpoint(stage, features, use_reentrant=False)
            else:
                features = stage(features)
        return features
