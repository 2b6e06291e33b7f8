"""Attention over the whole video beside a fixed mean of what is near: the temporal encoder of UR-DMU.

    features --conv over 3--> x --+--> content: softmax(q k / sqrt(d)) v --+--> mix --> + --> feed-forward --> +
                                  +--> nearness: softmax(-|i - j| / e) t --+         (added to x, twice)

[paper] Dual Memory Units with Uncertainty Regulation (Zhou, Yu, Yang, AAAI 2023; some constants from the authors'
public code): a convolution over 3 snippets; two layers of Global and Local Multi-Head Self-Attention, in which every
head has a second, local part whose weights are the softmax of the negative distance in time over e, with values of its
own; pre-norm, GELU, four heads, a feed-forward as wide as the features.
[ours] Padding takes no part: it is zero under the convolution and has no weight in either attention. Attention is
computed a block of queries at a time, so that a long video takes no more than so much memory. Nearness is cut off
where its weight is lost in double precision.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

LAYERS = 2
"""As published."""
WEIGHTS_AT_ONCE = 2**24
"""Attention weights, over bags, heads, queries and keys, that are in memory at a time: 64 MB in single precision."""
NEAR = 100
"""Snippets on each side that the nearness looks at: exp(-100 / e) = 1e-16 is nothing beside a snippet's own weight."""


class GlobalLocal(nn.Module):
    """The encoder. Any B >= 1, T >= 1; what the mask leaves out changes nothing."""

    reach: int | None = None
    """All of the video."""

    def __init__(self, width: int, dropout: float, heads: int, dim: int | None = None) -> None:
        """`width`: a multiple of `heads`; `dim`: of the features, by default as many."""
        super().__init__()
        self.embed = nn.Conv1d(dim or width, width, 3, padding=1)
        self.layers = nn.ModuleList(GlobalLocalLayer(width, dropout, heads) for _ in range(LAYERS))

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Features (B, T, dim), mask bool (B, T) -> (B, T, width)."""
        real = rearrange(features.masked_fill(~mask.unsqueeze(2), 0.0), "b t d -> b d t")
        inside = rearrange(F.relu(self.embed(real)), "b d t -> b t d")
        for layer in self.layers:
            inside = layer(inside, mask)
        return inside


class GlobalLocalLayer(nn.Module):
    """Attention and feed-forward, each after a layer norm and added to its input."""

    def __init__(self, width: int, dropout: float, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.content = nn.Linear(width, 3 * width, bias=False)
        self.nearby = nn.Linear(width, width, bias=False)
        self.mix = nn.Sequential(nn.Linear(2 * width, width), nn.Dropout(dropout))
        self.feed_forward = nn.Sequential(
            *(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout)),
            *(nn.Linear(width, width), nn.Dropout(dropout)),
        )

    def forward(self, inside: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D), mask bool (B, T) -> (B, T, D)."""
        normed = self.norm(inside)
        queries, keys, values = rearrange(self.content(normed), "b t (n h d) -> n b h t d", n=3, h=self.heads)
        whole = rearrange(content_attention(queries, keys, values, mask), "b h t d -> b t (h d)")
        inside = inside + self.mix(torch.cat([whole, near_means(self.nearby(normed), mask)], dim=2))
        fed: Tensor = inside + self.feed_forward(inside)
        return fed


def content_attention(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Ordinary attention (B, H, T, d) over the instances that the mask (B, T) has, block by block of queries."""
    bags, heads, length, _ = queries.shape
    allowed = mask[:, None, None, :]
    blocks = queries.split(max(1, WEIGHTS_AT_ONCE // (bags * heads * length)), dim=2)
    return torch.cat([F.scaled_dot_product_attention(block, keys, values, allowed) for block in blocks], dim=2)


def near_means(values: Tensor, mask: Tensor) -> Tensor:
    """(B, T, D): of each snippet the mean of `values` (B, T, D) with weights softmax(-distance / e) over the mask.

    The same for every head, so that heads need not be told apart. A snippet that is there weighs itself with 1.
    """
    length = values.shape[1]
    real = values.masked_fill(~mask.unsqueeze(2), 0.0)
    means = []
    for start in range(0, length, NEAR):
        end = min(start + NEAR, length)
        first, last = max(0, start - NEAR), min(length, end + NEAR)
        weights = nearness(start, end, first, last, values)
        shares = (mask[:, first:last].to(weights.dtype) @ weights.T).clamp(min=1)
        means.append(weights @ real[:, first:last] / shares.unsqueeze(2))
    return torch.cat(means, dim=1)


def nearness(start: int, end: int, first: int, last: int, like: Tensor) -> Tensor:
    """exp(-|i - j| / e) for i in [start, end), j in [first, last), of the type and on the device of `like`."""
    # made in at least single precision: half of it cannot count to 300
    exact = torch.promote_types(like.dtype, torch.float32)
    own = torch.arange(start, end, device=like.device, dtype=exact).unsqueeze(1)
    others = torch.arange(first, last, device=like.device, dtype=exact)
    return torch.exp(-(own - others).abs() / math.e).to(like.dtype)
