"""Building by name, and what every backbone promises."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pretrain.backbones import BackboneConfig, build_backbone, list_backbones
from pretrain.errors import UserError

SMALL = [
    BackboneConfig(clip_frames=2, height=16, width=16),
    BackboneConfig(name="r3d_18", clip_frames=2, height=16, width=16),
    BackboneConfig(name="timm/vit_tiny_patch16_224", clip_frames=2, height=32, width=32),
    BackboneConfig(name="timm/convnext_atto", clip_frames=2, height=32, width=32),
]


@pytest.mark.parametrize("config", SMALL, ids=lambda config: config.name)
def test_what_is_trainable_is_what_gets_a_gradient(config: BackboneConfig) -> None:
    """DDP hangs or fails on trainable parameters without a gradient."""
    torch.manual_seed(0)
    backbone = build_backbone(config)
    assert backbone.training
    if backbone.mixing is not None:  # the zero start blocks the gradient of the inner layers for one step
        for layer in backbone.mixing.layers:
            torch.nn.init.normal_(layer.project.weight)
    clips = torch.randn(2, 3, config.clip_frames, config.height, config.width)
    (backbone.pool(backbone(clips)) ** 2).sum().backward()
    for name, parameter in backbone.named_parameters():
        assert parameter.requires_grad == (parameter.grad is not None), name
        assert parameter.requires_grad == (name.removeprefix("net.") not in backbone.off_path), name


@pytest.mark.parametrize("config", SMALL, ids=lambda config: config.name)
def test_same_seed_same_weights(config: BackboneConfig) -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(7)
        states.append(build_backbone(config).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not any(value.is_meta for value in states[0].values())


def test_pool_is_the_mean_over_time_and_space() -> None:
    backbone = build_backbone(SMALL[0])
    feature_map = torch.arange(24.0).reshape(1, 2, 3, 2, 2)
    assert backbone.pool(feature_map).tolist() == [[5.5, 17.5]]


def test_names() -> None:
    assert {"small3d", "r3d_18", "mvit_v2_s", "swin3d_b"} <= set(list_backbones())
    with pytest.raises(
        UserError, match=r"unknown backbone 'r3d18'; did you mean 'r3d_18'\? Known: .*small3d.*timm/<model>"
    ):
        build_backbone(BackboneConfig(name="r3d18"))


@pytest.mark.parametrize("field", ["clip_frames", "clip_stride", "height", "width"])
def test_sizes_below_one_are_refused(field: str) -> None:
    with pytest.raises(UserError, match=f"backbone.{field} is 0; it must be at least 1"):
        BackboneConfig(**{field: 0})


def test_weights_and_download_exclude_each_other() -> None:
    with pytest.raises(UserError, match="are both set; choose one"):
        BackboneConfig(weights=Path("a.pth"), download=True)


def test_nothing_to_download_for_our_own() -> None:
    with pytest.raises(UserError, match="'small3d' has no published weights to download"):
        build_backbone(BackboneConfig(download=True))


FROZEN = BackboneConfig(name="timm/test_resnet", clip_frames=2, height=32, width=48, freeze=True)


def test_a_frozen_image_network_stays_as_it_is_in_training() -> None:
    torch.manual_seed(0)
    backbone = build_backbone(FROZEN).train()
    assert backbone.mixing is not None
    before = {key: value.clone() for key, value in backbone.net.state_dict().items()}
    for mode in (True, False, True):
        backbone.train(mode)
        assert backbone.mixing.training == mode
        assert not any(module.training for module in backbone.net.modules())
    (backbone(torch.randn(2, 3, 2, 32, 48)) ** 2).sum().backward()
    assert all(parameter.grad is None for parameter in backbone.net.parameters())
    assert all(parameter.grad is not None for parameter in backbone.mixing.parameters())
    after = backbone.net.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before), "running statistics too"


def test_thawed_it_trains_but_for_its_head() -> None:
    backbone = build_backbone(FROZEN)
    backbone.thaw()
    assert all(module.training for module in backbone.net.modules())
    trains = {name for name, parameter in backbone.net.named_parameters() if parameter.requires_grad}
    assert trains == {name for name, _ in backbone.net.named_parameters()} - set(backbone.off_path)


@pytest.mark.parametrize("name", ["small3d", "r3d_18"])
def test_a_video_network_cannot_be_frozen(name: str) -> None:
    with pytest.raises(UserError, match=rf"'{name}' is a video network .* take an image network .* or leave"):
        build_backbone(BackboneConfig(name=name, freeze=True))
