"""Global and local attention: against plain loops, and how much of it is in memory at a time."""

from __future__ import annotations

import math
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from downstream.detector import global_local
from downstream.detector.global_local import GlobalLocal, GlobalLocalLayer, content_attention, near_means

LENGTHS = (7, 1, 4)


def some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def a_mask() -> Tensor:
    return torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS).unsqueeze(1)


def weighted(scores: list[float], values: list[Tensor]) -> Tensor:
    """The mean of the values with the softmax of the scores as weights."""
    powers = [math.exp(score) for score in scores]
    return sum((power * value for power, value in zip(powers, values, strict=True)), torch.zeros(())) / sum(powers)


def test_nearness_is_the_softmax_of_negative_distances_over_e_in_loops() -> None:
    values = some(3, 7, 5)
    means = near_means(values, a_mask())
    for b, length in enumerate(LENGTHS):
        for i in range(length):
            expected = weighted([-abs(i - j) / math.e for j in range(length)], list(values[b, :length]))
            torch.testing.assert_close(means[b, i], expected, rtol=1e-12, atol=1e-14)


def test_content_is_ordinary_attention_in_loops() -> None:
    queries, keys, values = (some(3, 2, 7, 5, seed=seed) for seed in range(3))
    found = content_attention(queries, keys, values, a_mask())
    for b, length in enumerate(LENGTHS):
        for head in range(2):
            for i in range(length):
                scores = [float(queries[b, head, i] @ keys[b, head, j]) / math.sqrt(5) for j in range(length)]
                expected = weighted(scores, list(values[b, head, :length]))
                torch.testing.assert_close(found[b, head, i], expected, rtol=1e-12, atol=1e-14)


def test_a_layer_in_steps() -> None:
    """Pre-norm; both attentions side by side and mixed; feed-forward."""
    torch.manual_seed(0)
    layer = GlobalLocalLayer(8, 0.5, heads=2).double().eval()
    inside, mask = some(3, 7, 8), a_mask()
    normed = functional.layer_norm(inside, (8,))
    content = functional.linear(normed, layer.content.weight)
    heads = [content[..., 4 * n : 4 * (n + 1)] for n in range(6)]  # q, q, k, k, v, v
    whole = [content_attention(*(heads[h + 2 * n].unsqueeze(1) for n in range(3)), mask).squeeze(1) for h in (0, 1)]
    near = near_means(functional.linear(normed, layer.nearby.weight), mask)
    mixed = inside + functional.linear(torch.cat([*whole, near], dim=2), layer.mix[0].weight, layer.mix[0].bias)
    expected = mixed + layer.feed_forward(mixed)
    torch.testing.assert_close(layer(inside, mask)[mask], expected[mask])


@pytest.mark.parametrize("length", [1, 2, 205])
def test_padding_changes_nothing_and_gets_no_gradient(length: int) -> None:
    torch.manual_seed(0)
    net = GlobalLocal(8, 0.5, heads=2).double().eval()
    bare = some(2, length, 8)
    features = torch.cat([bare, torch.full((2, 3, 8), 1e6, dtype=torch.float64)], dim=1).requires_grad_()
    found = net(features, (torch.arange(length + 3) < length).expand(2, -1))
    torch.testing.assert_close(found[:, :length], net(bare, torch.ones(2, length, dtype=torch.bool)))
    found[:, :length].square().sum().backward()
    assert features.grad is not None
    assert features.grad[:, :length].any(dim=2).all()
    assert not features.grad[:, length:].any()


def test_every_weight_learns() -> None:
    torch.manual_seed(0)
    net = GlobalLocal(8, 0.0, heads=2)
    net(torch.randn(2, 9, 8), torch.ones(2, 9, dtype=torch.bool)).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("limit", [1, 3000, 10_000])
def test_a_long_video_is_attended_to_in_blocks_of_so_many_weights(limit: int) -> None:
    queries, keys, values = (some(1, 2, 450, 4, seed=seed) for seed in range(3))
    mask = torch.ones(1, 450, dtype=torch.bool)
    whole = functional.scaled_dot_product_attention(queries, keys, values)
    sizes = []

    def watched(block: Tensor, *others: Any) -> Tensor:
        sizes.append(block.shape[0] * block.shape[1] * block.shape[2] * others[0].shape[2])
        return functional.scaled_dot_product_attention(block, *others)

    with mock.patch.object(global_local, "WEIGHTS_AT_ONCE", limit), mock.patch.object(global_local, "F") as module:
        module.scaled_dot_product_attention = watched
        found = content_attention(queries, keys, values, mask)
    torch.testing.assert_close(found, whole, rtol=1e-10, atol=1e-12)
    assert max(sizes) <= max(limit, 2 * 450)  # never less than one query of every bag and head
    assert len(sizes) >= min(450, 2 * 450 * 450 // limit)


def test_what_lies_further_than_the_nearness_looks_is_nothing() -> None:
    values, length = some(1, 450, 3), 450
    distance = (torch.arange(length).unsqueeze(1) - torch.arange(length)).abs().double()
    expected = (-distance / math.e).softmax(dim=1) @ values[0]
    found = near_means(values, torch.ones(1, length, dtype=torch.bool))[0]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_half_precision_counts_snippets_exactly() -> None:
    values = some(1, 450, 3)
    found = near_means(values.bfloat16(), torch.ones(1, 450, dtype=torch.bool))
    assert found.dtype == torch.bfloat16
    exact = near_means(values, torch.ones(1, 450, dtype=torch.bool))
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=0.05)
