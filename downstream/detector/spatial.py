"""How a detector looks at the neighbourhood of a cell in its own snippet: not at all, or by a convolution."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional


class NoNeighbours(nn.Module):
    """Every cell by itself."""

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, rows, columns, D) -> the same."""
        return features


class SpatialConv(nn.Module):
    """A 3x3 convolution over the cells of a snippet, added to the input; border cells are repeated beyond the border.

    With `temporal: multi_scale` this makes of the detector what [paper] (arXiv 2605.13746) has in a small 3D
    convolution, taken apart into time and space [ours].
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 3)
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Linear(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, rows, columns, D) -> (N, rows, columns, D)."""
        maps = functional.pad(rearrange(features, "n r c d -> n d r c"), (1, 1, 1, 1), mode="replicate")
        context = rearrange(self.convolution(maps), "n d r c -> n r c d")
        return features + self.mix(functional.relu(self.norm(context)))


def spatial_encoder(name: str, width: int) -> nn.Module:
    """The encoder of that name; each maps features (N, rows, columns, D) to (N, rows, columns, D)."""
    return SpatialConv(width) if name == "conv" else NoNeighbours()
