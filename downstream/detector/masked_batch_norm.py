"""Batch normalisation over the instances that are there: padding is in no statistic, and processes share theirs.

[paper] Batch Normalization (Ioffe, Szegedy 2015): in training by the mean and the variance of the batch, which running
means follow; in evaluation by those. [ours] Only instances that the mask has count, so that a padded bag scores as the
bare one does; sums go over all processes, so that they normalise as one process with the whole batch would.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce

MOMENTUM, EPSILON = 0.1, 1e-5
"""Of the running means, and what is added to variances: those of PyTorch, which the published detectors use."""


class MaskedBatchNorm(nn.Module):
    """Of `width` numbers an instance."""

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, width: int, start: float = 1.0) -> None:
        """`start`: what the learnt scale begins with."""
        super().__init__()
        self.scale = nn.Parameter(torch.full((width,), start))
        self.shift = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_variance", torch.ones(width))

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Values (B, T, D), mask bool (B, T) -> (B, T, D) in float32 or wider; training moves the running means."""
        values = values.to(torch.promote_types(values.dtype, torch.float32))
        mean, variance = self._of_batch(values, mask) if self.training else (self.running_mean, self.running_variance)
        return (values - mean) * (variance + EPSILON).rsqrt() * self.scale + self.shift

    def _of_batch(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(D,) each: mean and variance of the instances of all processes. Two passes: a difference of great squares
        would lose the variance of features that lie far from zero."""
        real = mask.unsqueeze(2).to(values.dtype)
        count = over_processes(real.sum().reshape(1)).clamp(min=1)
        mean = over_processes((values.masked_fill(real == 0, 0.0)).sum(dim=(0, 1))) / count
        apart = (values - mean).masked_fill(real == 0, 0.0)
        variance = over_processes(apart.square().sum(dim=(0, 1))) / count
        with torch.no_grad():
            unbiased = variance * count / (count - 1).clamp(min=1)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), MOMENTUM)
            self.running_variance.lerp_(unbiased.to(self.running_variance.dtype), MOMENTUM)
        return mean, variance

    def distance(self, values: Tensor) -> Tensor:
        """(...): how far values (..., D) lie from the running mean, in deviations (Mahalanobis, diagonal)."""
        scale = (self.running_variance + EPSILON).rsqrt()
        return torch.linalg.vector_norm((values - self.running_mean) * scale, dim=-1)


def over_processes(values: Tensor) -> Tensor:
    """The sum over all processes, differentiable: a process gets its share of everybody's gradient."""
    if not distributed.is_available() or not distributed.is_initialized() or distributed.get_world_size() == 1:
        return values
    summed: Tensor = all_reduce(values)
    return summed
