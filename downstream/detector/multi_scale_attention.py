"""Dilated convolutions beside attention over the whole video: the multi-scale temporal network of RTFM.

    x --+--> convolution over 3 snippets, 1 apart --> a quarter --+
        +--> ..., 2 apart                         --> a quarter --+--> convolution over 3 --> + x
        +--> ..., 4 apart                         --> a quarter --+
        +--> one number for each quarter's --> non-local attention +

[paper] Weakly-supervised Video Anomaly Detection with Robust Temporal Feature Magnitude Learning (Tian et al., ICCV
2021): a pyramid of dilated convolutions (1, 2, 4), ReLU, batch normalisation, each a quarter as wide as the features; a
non-local block of the dot-product form (`theta phi^T / N`, no softmax) on a quarter of the numbers, whose batch
normalisation begins at 0; a convolution over both, ReLU, batch normalisation, added to the input; dropout.
[ours] Padding takes no part: zero under the convolutions, in no statistic, in no sum of the attention. The product is
taken from the right, `theta (phi^T g) / N`: the same numbers, and memory does not grow with the square of the length.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from downstream.detector.masked_batch_norm import MaskedBatchNorm

DILATIONS = (1, 2, 4)
"""As published."""


class MultiScaleAttention(nn.Module):
    """The encoder. Any B >= 1, T >= 1, width >= 4; what the mask leaves out changes nothing."""

    reach: int | None = None
    """All of the video."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        share = width // (len(DILATIONS) + 1)
        self.pyramid = nn.ModuleList(MaskedConvolution(width, share, dilation) for dilation in DILATIONS)
        self.narrow = nn.Linear(width, share, bias=False)
        self.attention = NonLocal(share)
        self.fuse = MaskedConvolution(share * (len(DILATIONS) + 1), width, 1, bias=False)
        self.drop = nn.Dropout(dropout)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Features (B, T, D), mask bool (B, T) -> (B, T, D)."""
        scales = [layer(features, mask) for layer in self.pyramid]
        whole = self.attention(F.relu(self.narrow(features)), mask)
        dropped: Tensor = self.drop(features + self.fuse(torch.cat([*scales, whole], dim=2), mask))
        return dropped


class MaskedConvolution(nn.Module):
    """A convolution over 3 snippets, ReLU, batch normalisation."""

    def __init__(self, width: int, out: int, dilation: int, bias: bool = True) -> None:
        super().__init__()
        self.weigh = nn.Conv1d(width, out, 3, padding=dilation, dilation=dilation, bias=bias)
        self.norm = MaskedBatchNorm(out)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D), mask bool (B, T) -> (B, T, out)."""
        return self.norm(F.relu(along_time(self.weigh, features, mask)), mask)


class NonLocal(nn.Module):
    """Attention of the dot-product form, added to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = max(1, width // 2)
        self.theta, self.phi, self.g = (nn.Linear(width, inner) for _ in range(3))
        self.back = nn.Linear(inner, width)
        self.norm = MaskedBatchNorm(width, start=0.0)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D), mask bool (B, T) -> (B, T, D)."""
        real = mask.unsqueeze(2)
        keys, values = (layer(features).masked_fill(~real, 0.0) for layer in (self.phi, self.g))
        count = mask.sum(dim=1).clamp(min=1).to(keys.dtype)
        said = self.theta(features) @ (keys.transpose(1, 2) @ values) / count.view(-1, 1, 1)
        return features + self.norm(self.back(said), mask)


def along_time(layer: nn.Conv1d, features: Tensor, mask: Tensor) -> Tensor:
    """A convolution of (B, T, D) over time, with zeros where the mask (B, T) has nothing."""
    real = rearrange(features.masked_fill(~mask.unsqueeze(2), 0.0), "b t d -> b d t")
    return rearrange(layer(real), "b d t -> b t d")
