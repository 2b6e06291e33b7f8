"""Attention in short windows, then graphs over what looks alike and what is near: the encoder of VadCLIP.

    x + position --> (attention in windows of 8, feed-forward) x 2 --+--> graph of likeness x 2 --+--> layer
                                                                     +--> graph of nearness x 2 --+

[paper] VadCLIP (Wu et al., AAAI 2024; sizes as in the authors' public code for UCF-Crime): learnt positions of 256
snippets; two layers of attention, one head, among the 8 snippets of a window, windows side by side; two graph
convolutions by each of two adjacencies: cosines above 0.7, the others 0, softmax; and `exp(-|i - j| / e)`. Longer
videos are cut into pieces of 256, each by itself.
[ours] Padding takes no part in windows or graphs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from downstream.detector.directions import unit_vectors
from downstream.detector.global_local import content_attention, nearness

LENGTH = 256
"""Snippets of a piece; as published, like all that follows."""
WINDOW, LAYERS = 8, 2
ALIKE = 0.7
"""Cosine from which on two snippets are neighbours."""


class QuickGELU(nn.Module):
    """`x sigmoid(1.702 x)`."""

    def forward(self, values: Tensor) -> Tensor:
        """(...) -> (...)."""
        return values * (1.702 * values).sigmoid()


def perceptron(width: int) -> nn.Sequential:
    """Four times as wide inside."""
    return nn.Sequential(nn.Linear(width, 4 * width), QuickGELU(), nn.Linear(4 * width, width))


class WindowGraph(nn.Module):
    """The encoder. Any B >= 1, T >= 1, width >= 2; what the mask leaves out changes nothing."""

    reach: int | None = None
    """A piece of the video, which starts where the video says."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.positions = nn.Parameter(0.01 * torch.randn(LENGTH, width))
        self.layers = nn.ModuleList(WindowLayer(width) for _ in range(LAYERS))
        self.alike = nn.ModuleList([GraphConvolution(width, half), GraphConvolution(half, half)])
        self.near = nn.ModuleList([GraphConvolution(width, half), GraphConvolution(half, half)])
        self.mix = nn.Linear(2 * half, width)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Features (B, T, D), mask bool (B, T) -> (B, T, D)."""
        bags, length, _ = features.shape
        pieces, own = in_pieces(features, LENGTH), in_pieces(mask, LENGTH)
        inside = pieces + self.positions[: pieces.shape[1]]
        for layer in self.layers:
            inside = layer(inside, own)
        alike, near = inside, inside
        likeness, distance = alikeness(inside, own), nearness_of(own, inside)
        for first, second in zip(self.alike, self.near, strict=True):
            alike, near = first(alike, likeness, own), second(near, distance, own)
        mixed = self.mix(torch.cat([alike, near], dim=2))
        return rearrange(mixed, "(b p) t d -> b (p t) d", b=bags)[:, :length]


class WindowLayer(nn.Module):
    """Attention within windows and feed-forward, each after a layer norm and added to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.content, self.back = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed_forward = nn.Sequential(nn.LayerNorm(width), *perceptron(width))

    def forward(self, inside: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D), mask bool (B, T) -> (B, T, D)."""
        bags, length, _ = inside.shape
        windows, there = in_pieces(self.content(self.norm(inside)), WINDOW), in_pieces(mask, WINDOW)
        # a window without anything would divide by no weight at all; what it says is cut off below
        there = there | ~there.any(dim=1, keepdim=True)
        queries, keys, values = rearrange(windows, "w t (n d) -> n w 1 t d", n=3)
        said = content_attention(queries, keys, values, there).squeeze(1)
        inside = inside + self.back(rearrange(said, "(b w) t d -> b (w t) d", b=bags)[:, :length])
        fed: Tensor = inside + self.feed_forward(inside)
        return fed


class GraphConvolution(nn.Module):
    """`gelu(adjacency x W + residual(x))`: the residual a convolution over 5 where the widths differ."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.weights = nn.Linear(width, out, bias=False)
        nn.init.xavier_uniform_(self.weights.weight)
        self.residual = nn.Conv1d(width, out, 5, padding=2) if width != out else None
        self.gelu = QuickGELU()

    def forward(self, inside: Tensor, adjacency: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D), (B, T, T), mask bool (B, T) -> (B, T, out)."""
        real = inside.masked_fill(~mask.unsqueeze(2), 0.0)
        kept = real
        if self.residual is not None:
            kept = rearrange(self.residual(rearrange(real, "b t d -> b d t")), "b d t -> b t d")
        said: Tensor = self.gelu(adjacency @ self.weights(real) + kept)
        return said


def alikeness(features: Tensor, mask: Tensor) -> Tensor:
    """(B, T, T): softmax over the snippets that are there of the cosines of (B, T, D), those up to 0.7 set to 0."""
    directions = unit_vectors(features)
    cosines = F.threshold(directions @ directions.transpose(1, 2), ALIKE, 0.0)
    lowest = torch.finfo(cosines.dtype).min
    return cosines.masked_fill(~mask.unsqueeze(1), lowest).softmax(dim=2)


def nearness_of(mask: Tensor, like: Tensor) -> Tensor:
    """(B, T, T): `exp(-|i - j| / e)` to the snippets that the mask (B, T) has."""
    length = mask.shape[1]
    return nearness(0, length, 0, length, like) * mask.unsqueeze(1)


def in_pieces(values: Tensor, length: int) -> Tensor:
    """(B, T, ...) -> (B * pieces, length, ...), the last one padded with zeros; (B, T, ...) as it is where it is one
    piece or less."""
    total = values.shape[1]
    if total <= length:
        return values
    missing = -total % length
    padding = values.new_zeros((len(values), missing, *values.shape[2:]))
    return torch.cat([values, padding], dim=1).unflatten(1, (-1, length)).flatten(0, 1)
