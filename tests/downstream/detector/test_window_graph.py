"""VadCLIP's encoder: windows that do not look out, graphs against numpy, pieces of 256."""

from __future__ import annotations

import math

import numpy as np
import torch

from downstream.detector.window_graph import (
    GraphConvolution,
    WindowGraph,
    WindowLayer,
    alikeness,
    nearness_of,
)


def some(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whole(length: int, bags: int = 1) -> torch.Tensor:
    return torch.ones(bags, length, dtype=torch.bool)


def test_a_window_sees_its_eight_snippets_and_no_others() -> None:
    torch.manual_seed(0)
    layer = WindowLayer(6).double()
    for place in (0, 7, 8, 15, 16, 19):
        inside = some(1, 20, 6, seed=place)
        other = inside.clone()
        other[0, place, 0] += 1
        moved = ((layer(inside, whole(20)) - layer(other, whole(20))).abs().amax(dim=2)[0] > 1e-12).nonzero().flatten()
        window = place // 8
        assert moved.tolist() == list(range(8 * window, min(20, 8 * window + 8)))


def test_a_window_is_ordinary_attention_of_one_head() -> None:
    torch.manual_seed(0)
    layer = WindowLayer(6).double()
    inside = some(1, 11, 6)
    content = layer.content(layer.norm(inside))[0, 8:]
    queries, keys, values = content.split(6, dim=1)
    said = (queries @ keys.T / math.sqrt(6)).softmax(dim=1) @ values
    middle = inside[0, 8:] + layer.back(said)
    torch.testing.assert_close(layer(inside, whole(11))[0, 8:], middle + layer.feed_forward(middle))


def test_adjacencies_by_hand() -> None:
    features = torch.tensor([[[1.0, 0.0], [1.0, 0.1], [0.0, 2.0], [9.0, 9.0]]], dtype=torch.float64)
    mask = torch.tensor([[True, True, True, False]])
    cosines = np.eye(3)
    cosines[0, 1] = cosines[1, 0] = 1 / math.sqrt(1.01)  # the only pair above 0.7
    powers = np.exp(cosines)
    found = alikeness(features, mask)[0].numpy()
    np.testing.assert_allclose(found[:3, :3], powers / powers.sum(axis=1, keepdims=True), rtol=1e-12)
    assert not found[:3, 3].any()
    near = nearness_of(mask, features)[0].numpy()
    np.testing.assert_allclose(near[:3, :3], [[math.exp(-abs(i - j) / math.e) for j in range(3)] for i in range(3)])
    assert not near[:, 3].any()


def test_a_graph_convolution_in_numpy() -> None:
    torch.manual_seed(0)
    layer = GraphConvolution(6, 3).double()
    inside, adjacency = some(1, 5, 6), some(1, 5, 5, seed=1)
    assert layer.residual is not None
    x, w = inside[0].numpy(), layer.weights.weight.detach().numpy()
    taps, bias = layer.residual.weight.detach().numpy(), layer.residual.bias.detach().numpy()  # type: ignore[union-attr]
    kept = np.zeros((5, 3)) + bias
    for t in range(5):
        for tap in range(5):
            if 0 <= t + tap - 2 < 5:
                kept[t] += taps[:, :, tap] @ x[t + tap - 2]
    values = adjacency[0].numpy() @ (x @ w.T) + kept
    np.testing.assert_allclose(
        layer(inside, adjacency, whole(5))[0].detach().numpy(), values / (1 + np.exp(-1.702 * values)), rtol=1e-9
    )


def test_long_videos_are_pieces_of_256_each_by_itself() -> None:
    torch.manual_seed(0)
    net = WindowGraph(8).double()
    features = some(2, 600, 8)
    found = net(features, whole(600, 2))
    for start in (0, 256, 512):
        piece = features[:, start : start + 256]
        torch.testing.assert_close(found[:, start : start + 256], net(piece, whole(piece.shape[1], 2)))


def test_padding_beyond_a_piece_changes_nothing() -> None:
    torch.manual_seed(0)
    net = WindowGraph(7).double()
    for length in (1, 9, 256):
        bare = some(1, length, 7, seed=length)
        padded = torch.cat([bare, torch.full((1, 300, 7), 1e4, dtype=torch.float64)], dim=1).requires_grad_()
        found = net(padded, torch.arange(length + 300).unsqueeze(0) < length)
        torch.testing.assert_close(found[:, :length], net(bare, whole(length)))
        found[:, :length].square().sum().backward()
        assert padded.grad is not None
        assert torch.isfinite(padded.grad).all()
        assert not padded.grad[:, length:].any()
