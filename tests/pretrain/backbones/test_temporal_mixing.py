from __future__ import annotations

import torch

from pretrain.backbones.temporal_mixing import TemporalMixing, TemporalModule


def _mixing(*, zero: bool) -> TemporalMixing:
    torch.manual_seed(0)
    mixing = TemporalMixing(6)
    if not zero:
        for layer in mixing.layers:
            torch.nn.init.normal_(layer.project.weight)
    return mixing


def test_starts_as_the_identity_and_can_leave_it() -> None:
    mixing = _mixing(zero=True)
    feature_map = torch.randn(2, 6, 5, 3, 4)
    mixed = mixing(feature_map)
    assert torch.equal(mixed, feature_map)
    (mixed * torch.randn_like(mixed)).sum().backward()
    assert all(layer.project.weight.grad.abs().sum() > 0 for layer in mixing.layers)


def test_mixes_along_time_only_and_seven_frames_each_way() -> None:
    mixing = _mixing(zero=False)
    feature_map = torch.randn(1, 6, 20, 2, 3)
    changed = feature_map.clone()
    changed[0, :, 10, 1, 2] += torch.randn(6)
    moved = (mixing(feature_map) - mixing(changed)).abs().amax(dim=1)[0] > 0
    assert moved[:, 1, 2].nonzero().flatten().tolist() == list(range(3, 18))
    moved[:, 1, 2] = False
    assert not moved.any()


def test_the_narrow_module_mixes_along_time_only_and_knows_what_differs_from_the_mean() -> None:
    torch.manual_seed(0)
    module = TemporalModule(6, width=4)
    feature_map = torch.randn(1, 6, 20, 2, 3)
    changed = feature_map.clone()
    changed[0, :, 19, 1, 2] += torch.randn(6)
    given = module(feature_map)
    assert given.shape == (1, 4, 20, 2, 3)
    moved = (given - module(changed)).abs().amax(dim=1)[0] > 0
    assert moved[:, 1, 2].all(), "through the mean, every frame of the place"
    moved[:, 1, 2] = False
    assert not moved.any()


def test_the_narrow_module_trains_whole_and_sends_no_gradient_to_what_is_frozen() -> None:
    torch.manual_seed(0)
    module = TemporalModule(6, width=4)
    (module(torch.randn(2, 6, 5, 3, 4)) ** 2).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in module.parameters())
