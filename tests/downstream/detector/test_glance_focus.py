"""MGFN's encoder: its parts against loops, its published sizes, where glance and focus look."""

from __future__ import annotations

import torch
from torch.nn import functional

from downstream.detector.glance_focus import Focus, Glance, GlanceFocus, head_sizes

MASK = torch.arange(7) < torch.tensor([[7], [1], [4]])


def some(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_published_sizes() -> None:
    net = GlanceFocus(2048, 1024, 0.0)
    assert net.embed.weight.shape == (64, 2048, 3)
    assert net.amplify.weight.shape == (64, 1, 3)
    assert [len(stage.blocks) for stage in net.stages] == [3, 3, 2]
    assert [stage.blocks[0].shortcut.weight.shape[0] for stage in net.stages] == [64, 128, 1024]
    assert [head_sizes(width) for width in (64, 128, 1024)] == [(1, 64), (2, 64), (16, 64)]
    assert net.stages[2].blocks[0].feed_forward[1].out_features == 4096
    assert 28e6 < sum(parameter.numel() for parameter in net.parameters()) < 29e6


def test_focus_weighs_every_head_by_five_numbers_of_its_own() -> None:
    torch.manual_seed(0)
    net = Focus(128).double().eval()
    inside = some(3, 7, 128)
    normed = net.norm(inside, MASK)
    found = net(inside, MASK)
    for row, length in enumerate((7, 1, 4)):
        values = functional.linear(normed[row, :length], net.content.weight)
        weighed = torch.zeros_like(values)
        for t in range(length):
            for channel in range(128):
                head = channel % 2  # heads are the fast part, as published
                taps = [
                    net.weigh.weight[head, 0, tap] * values[t + tap - 2, channel]
                    for tap in range(5)
                    if 0 <= t + tap - 2 < length
                ]
                weighed[t, channel] = sum(taps) + net.weigh.bias[head]  # type: ignore[index]
        torch.testing.assert_close(found[row, :length], net.back(weighed), rtol=1e-10, atol=1e-10)


def test_glance_is_attention_over_what_is_there() -> None:
    torch.manual_seed(0)
    net = Glance(128).double()
    inside = some(3, 7, 128)
    content = functional.linear(functional.layer_norm(inside, (128,)), net.content.weight)
    found = net(inside, MASK)
    for row, length in enumerate((7, 1, 4)):
        heads = []
        for head in range(2):
            queries, keys, values = (content[row, :length, 128 * n + 64 * head :][:, :64] for n in range(3))
            heads.append((queries @ keys.T / 8).softmax(dim=1) @ values)
        torch.testing.assert_close(found[row, :length], net.back(torch.cat(heads, dim=1)), rtol=1e-10, atol=1e-10)


def test_magnitudes_come_in_by_a_tenth() -> None:
    torch.manual_seed(0)
    net = GlanceFocus(6, 16, 0.0).double().eval()
    features, mask = some(1, 5, 6), torch.ones(1, 5, dtype=torch.bool)
    plain = net(features, mask)
    lengths = features.norm(dim=2, keepdim=True)
    added = functional.conv1d(lengths.transpose(1, 2), net.amplify.weight, net.amplify.bias, padding=1)
    with torch.no_grad():
        net.amplify.weight.zero_()
        net.amplify.bias.zero_()  # type: ignore[union-attr]
    hook = net.embed.register_forward_hook(lambda _module, _inputs, output: output + 0.1 * added)
    torch.testing.assert_close(net(features, mask), plain)
    hook.remove()
    assert not torch.allclose(net(features, mask), plain)


def test_padding_changes_nothing_and_the_first_stage_sees_all() -> None:
    torch.manual_seed(0)
    net = GlanceFocus(6, 32, 0.0).double().eval()
    bare = some(2, 40, 6)
    mask = (torch.arange(45) < 40).expand(2, -1)
    padded = torch.cat([bare, torch.full((2, 5, 6), 1e4, dtype=torch.float64)], dim=1).requires_grad_()
    found = net(padded, mask)
    torch.testing.assert_close(found[:, :40], net(bare, torch.ones(2, 40, dtype=torch.bool)))
    found[:, 0].square().sum().backward()
    assert padded.grad is not None
    assert padded.grad[:, :40].any(dim=2).all()
    assert not padded.grad[:, 40:].any()
