"""Glance at the whole video, then focus on what is near: the encoder of MGFN.

    x --convolution over 3--> + 0.1 * convolution over 3 of |x| --> glance x 3 --> focus x 3 --> focus x 2 --> norm
                                                                    D / 16          D / 8         D numbers

    block:  x + convolution over 3 (x);  x + attention or convolution (norm(x));  x + feed-forward (norm(x))

[paper] MGFN: Magnitude-Contrastive Glance-and-Focus Network (Chen et al., AAAI 2023; sizes as in the authors' public
code): feature amplification by magnitudes (0.1); a glance block with attention over the whole video, in three layers of
64 numbers; focus blocks, in three layers of 128 and two of 1024, with a self-attentional convolution over 5 snippets:
values are projected, and each of their heads is weighed along time by 5 numbers of its own; heads of 64, feed-forward
4 times as wide, GELU.
[ours] Padding takes no part: zero under the convolutions, without weight in the attention, in no statistic. Attention
is computed a block of queries at a time. Widths other than 1024: a sixteenth and an eighth of them in the first stages,
8 numbers at least; a head for every 64 numbers, one at least.
"""

from __future__ import annotations

import itertools
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from downstream.detector.config import LEAST
from downstream.detector.global_local import content_attention
from downstream.detector.masked_batch_norm import MaskedBatchNorm
from downstream.detector.multi_scale_attention import along_time

AMPLIFY = 0.1
"""Share of the magnitudes, as published."""
SHARES = (16, 8, 1)
"""What the width is divided by in each stage: 64, 128, 1024 as published."""
STAGES: tuple[tuple[Literal["glance", "focus"], int], ...] = (("glance", 3), ("focus", 3), ("focus", 2))
"""Kind and layers of each, as published."""
HEAD, KERNEL, WIDER = 64, 5, 4
"""Numbers of a head, snippets that the focus weighs, and the feed-forward's width over the block's; as published."""


class GlanceFocus(nn.Module):
    """The encoder. Any B >= 1, T >= 1, width >= 8; what the mask leaves out changes nothing."""

    reach: int | None = None
    """All of the video."""

    def __init__(self, dim: int, width: int, dropout: float) -> None:
        """From `dim` numbers to `width`."""
        super().__init__()
        widths = [max(LEAST, width // share) for share in SHARES]
        self.embed, self.amplify = (nn.Conv1d(numbers, widths[0], 3, padding=1) for numbers in (dim, 1))
        self.stages = nn.ModuleList(
            Stage(kind, layers, own, dropout) for own, (kind, layers) in zip(widths, STAGES, strict=True)
        )
        self.widen = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(own), nn.Linear(own, after)) for own, after in itertools.pairwise(widths)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Features (B, T, dim), mask bool (B, T) -> (B, T, width)."""
        lengths = torch.linalg.vector_norm(features, dim=2, keepdim=True)
        inside = along_time(self.embed, features, mask) + AMPLIFY * along_time(self.amplify, lengths, mask)
        for number, stage in enumerate(self.stages):
            inside = stage(inside, mask)
            if number < len(self.widen):
                inside = self.widen[number](inside)
        normed: Tensor = self.norm(inside)
        return normed


class Stage(nn.Module):
    """Blocks of one kind, one after another."""

    def __init__(self, kind: Literal["glance", "focus"], layers: int, width: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(kind, width, dropout) for _ in range(layers))

    def forward(self, inside: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D), mask bool (B, T) -> (B, T, D)."""
        for block in self.blocks:
            inside = block(inside, mask)
        return inside


class Block(nn.Module):
    """A convolution, what looks around, and a feed-forward, each added to its input."""

    def __init__(self, kind: Literal["glance", "focus"], width: int, dropout: float) -> None:
        super().__init__()
        self.shortcut = nn.Conv1d(width, width, 3, padding=1)
        self.look = Glance(width) if kind == "glance" else Focus(width)
        self.feed_forward = nn.Sequential(
            *(nn.LayerNorm(width), nn.Linear(width, WIDER * width), nn.GELU(), nn.Dropout(dropout)),
            nn.Linear(WIDER * width, width),
        )

    def forward(self, inside: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D), mask bool (B, T) -> (B, T, D)."""
        inside = inside + along_time(self.shortcut, inside, mask)
        inside = inside + self.look(inside, mask)
        fed: Tensor = inside + self.feed_forward(inside)
        return fed


def head_sizes(width: int) -> tuple[int, int]:
    """Heads, and numbers in each."""
    heads = max(1, width // HEAD)
    return heads, width // heads


class Glance(nn.Module):
    """Attention over the whole video."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads, numbers = head_sizes(width)
        self.norm = nn.LayerNorm(width)
        self.content = nn.Linear(width, 3 * self.heads * numbers, bias=False)
        self.back = nn.Linear(self.heads * numbers, width)

    def forward(self, inside: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D), mask bool (B, T) -> (B, T, D)."""
        content = self.content(self.norm(inside))
        queries, keys, values = rearrange(content, "b t (n h d) -> n b h t d", n=3, h=self.heads)
        said: Tensor = self.back(rearrange(content_attention(queries, keys, values, mask), "b h t d -> b t (h d)"))
        return said


class Focus(nn.Module):
    """Self-attentional convolution: values, each head weighed along time by numbers of its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads, self.numbers = head_sizes(width)
        self.norm = MaskedBatchNorm(width)
        self.content = nn.Linear(width, self.heads * self.numbers, bias=False)
        self.weigh = nn.Conv1d(self.heads, self.heads, KERNEL, padding=KERNEL // 2, groups=self.heads)
        self.back = nn.Linear(self.heads * self.numbers, width)

    def forward(self, inside: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D), mask bool (B, T) -> (B, T, D)."""
        values = self.content(self.norm(inside, mask)).masked_fill(~mask.unsqueeze(2), 0.0)
        # a number of a head is weighed as all others of it: one convolution of each, with weights in common
        weights = self.weigh.weight.repeat(self.numbers, 1, 1)
        bias = None if self.weigh.bias is None else self.weigh.bias.repeat(self.numbers)
        weighed = F.conv1d(
            rearrange(values, "b t d -> b d t"), weights, bias, padding=KERNEL // 2, groups=self.heads * self.numbers
        )
        said: Tensor = self.back(rearrange(weighed, "b d t -> b t d"))
        return said
