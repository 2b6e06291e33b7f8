"""Bags of all processes on every process, so that a loss over a batch is the loss over the whole batch.

Ranking pairs, prototypes, k-means and memories all couple bags: computed on each process's share they would be another
loss, and the memories would drift apart. So every process gathers all bags, computes the same loss of all of them, and
moves its (therefore equal) memories equally.

**Why gradients are exact.** Let L be the loss of all bags. What is before the gathering (the detector's weights w) gets
on rank r, from its own bags x_r alone, `dL/dx_r * dx_r/dw`; the whole gradient is the *sum* of this over ranks. DDP
takes the *mean*. Hence the backward pass hands rank r the slice of its own bags times the number of ranks. What is
after the gathering (the weights of a loss) gets the whole gradient on every rank, and its mean is the same. No
communication is needed in the backward pass. All this holds only if every rank computes the same loss of all bags.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable

from downstream.detector.bags import Bags

OF_BAGS = ("labels", "classes")
"""Fields that say something of a bag, not of its instances."""


class AllGather(torch.autograd.Function):
    """(...) of the same shape on every rank -> (ranks, ...); see the module for the gradient."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        gathered = tensor.new_empty((distributed.get_world_size(), *tensor.shape))
        distributed.all_gather(list(gathered.unbind()), tensor.contiguous())
        return gathered

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient[distributed.get_rank()] * distributed.get_world_size()


def gather_bags(bags: Bags) -> Bags:
    """The bags of all processes, ranks in order, padded to the longest; differentiable. `bags` itself on one process.

    Ranks may hold different numbers of bags. Every process must call it, with the same optional fields present.
    """
    if not distributed.is_available() or not distributed.is_initialized() or distributed.get_world_size() == 1:
        return bags
    shapes = shapes_of_ranks(bags.mask)
    longest = max(length for _, length in shapes)
    most = max(count for count, _ in shapes)
    counts = [count for count, _ in shapes]

    def gather(tensor: Tensor | None, of_bags: bool = False) -> Tensor | None:
        if tensor is None:
            return None
        shape = (most, *tensor.shape[1:]) if of_bags else (most, longest, *tensor.shape[2:])
        gathered = AllGather.apply(padded(tensor, shape))
        return torch.cat([bags_of_rank[:count] for bags_of_rank, count in zip(gathered, counts, strict=True)])

    mask = gather(bags.mask.to(torch.uint8))  # not every backend gathers bool
    rest = {name: gather(getattr(bags, name), name in OF_BAGS) for name in Bags._fields if name not in ("mask", "grid")}
    return Bags(mask=mask.bool(), grid=bags.grid, **rest)  # type: ignore[union-attr, arg-type]


def shapes_of_ranks(mask: Tensor) -> list[tuple[int, int]]:
    """Bags and their padded length on each rank."""
    gathered = AllGather.apply(torch.tensor(mask.shape, device=mask.device))
    return [(count, length) for count, length in gathered.tolist()]


def padded(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`tensor`, with zeros behind it in every dimension in which `shape` is larger."""
    if tensor.shape == shape:
        return tensor
    whole = tensor.new_zeros(shape)
    whole[tuple(slice(0, size) for size in tensor.shape)] = tensor
    return whole
