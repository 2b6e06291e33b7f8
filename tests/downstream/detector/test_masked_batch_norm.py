"""Batch norm without padding: against PyTorch's own on the instances alone, and numpy for the distance."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from downstream.detector.masked_batch_norm import MaskedBatchNorm

MASK = torch.arange(6) < torch.tensor([[6], [2], [1]])


def some_values() -> torch.Tensor:
    return 3 + 2 * torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0))


def test_training_and_evaluation_are_those_of_pytorch_on_the_instances_alone() -> None:
    ours, theirs = MaskedBatchNorm(4), nn.BatchNorm1d(4)
    values = some_values().masked_fill(~MASK.unsqueeze(2), 1e6)
    for _ in range(3):
        torch.testing.assert_close(ours(values, MASK)[MASK], theirs(values[MASK]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_variance, theirs.running_var)
    torch.testing.assert_close(ours.eval()(values, MASK)[MASK], theirs.eval()(values[MASK]), rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_pytorch_and_padding_gets_none() -> None:
    ours, theirs = MaskedBatchNorm(4).double(), nn.BatchNorm1d(4).double()
    weights = torch.randn(int(MASK.sum()), 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mine, yours = (some_values().double().requires_grad_() for _ in range(2))
    (ours(mine, MASK)[MASK] * weights).sum().backward()
    (theirs(yours[MASK]) * weights).sum().backward()
    assert mine.grad is not None
    assert yours.grad is not None
    torch.testing.assert_close(mine.grad, yours.grad)
    assert not mine.grad[~MASK].any()


def test_one_instance_and_equal_ones_are_finite() -> None:
    norm = MaskedBatchNorm(4)
    for values, mask in ((torch.full((1, 1, 4), 7.0), torch.ones(1, 1, dtype=torch.bool)), (some_values() * 0, MASK)):
        assert torch.isfinite(norm(values, mask)).all()
    assert torch.isfinite(norm.running_variance).all()


def test_the_distance_is_mahalanobis_by_hand() -> None:
    norm = MaskedBatchNorm(2)
    norm.running_mean.copy_(torch.tensor([1.0, -1.0]))
    norm.running_variance.copy_(torch.tensor([4.0, 0.25]))
    values = np.array([[3.0, -1.0], [1.0, 0.5], [1.0, -1.0]])
    apart = values - np.array([1.0, -1.0])
    expected = np.sqrt(np.einsum("nd,de,ne->n", apart, np.linalg.inv(np.diag([4.0, 0.25])), apart))
    assert expected.tolist() == [1.0, 3.0, 0.0]
    np.testing.assert_allclose(norm.distance(torch.tensor(values, dtype=torch.float32)).detach(), expected, rtol=1e-4)
