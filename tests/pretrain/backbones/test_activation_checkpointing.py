"""Checkpointing changes memory, nothing else."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from pretrain.backbones import Backbone, BackboneConfig, build_backbone
from pretrain.backbones.activation_checkpointing import checkpoint_blocks

CONFIGS = [
    BackboneConfig(clip_frames=2, height=16, width=16),
    BackboneConfig(name="r3d_18", clip_frames=2, height=16, width=16),  # batch norm: running statistics
    pytest.param(  # 10 s; stochastic depth: random state
        BackboneConfig(name="swin3d_t", clip_frames=2, height=32, width=32), marks=pytest.mark.slow
    ),
    BackboneConfig(name="timm/vit_tiny_patch16_224", clip_frames=2, height=32, width=32),
    BackboneConfig(name="timm/resnet10t", clip_frames=2, height=32, width=32),
]


def _step(backbone: Backbone, config: BackboneConfig) -> torch.Tensor:
    torch.manual_seed(1)
    clips = torch.randn(2, 3, config.clip_frames, config.height, config.width)
    output = backbone.pool(backbone(clips))
    (output**2).sum().backward()
    return output.detach()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_same_output_gradients_and_running_statistics(config: BackboneConfig) -> None:
    plain = build_backbone(config)
    checkpointed = build_backbone(replace(config, activation_checkpointing=True))
    assert plain.state_dict().keys() == checkpointed.state_dict().keys()
    checkpointed.load_state_dict(plain.state_dict())
    assert torch.equal(_step(plain, config), _step(checkpointed, config))
    for (name, one), other in zip(plain.named_parameters(), checkpointed.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), name
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad, msg=lambda text, name=name: f"{name}: {text}")
    for (name, value), other in zip(plain.named_buffers(), checkpointed.buffers(), strict=True):
        assert torch.equal(value, other), name


def test_activations_are_not_kept() -> None:
    def saved_bytes(backbone: Backbone) -> int:
        parameters = {p.untyped_storage().data_ptr() for p in backbone.parameters()}
        sizes: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in parameters:
                sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            output = backbone(torch.randn(1, 3, 8, 48, 64))
        del output
        return sum(sizes.values())

    config = BackboneConfig(name="r3d_18", clip_frames=8, height=48, width=64)
    assert saved_bytes(build_backbone(replace(config, activation_checkpointing=True))) < 0.6 * saved_bytes(
        build_backbone(config)
    )


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_every_kind_of_network_has_blocks(config: BackboneConfig) -> None:
    assert checkpoint_blocks(build_backbone(config).net) >= 4


def test_a_copy_recomputes_its_own_blocks() -> None:
    """The replaced forward is bound to its module: a deep copy must not run the original's weights."""
    config = replace(CONFIGS[1], activation_checkpointing=True)
    original = build_backbone(config).eval()
    duplicate = copy.deepcopy(original)
    clips = torch.randn(1, 3, 2, 16, 16)
    before = duplicate(clips)
    with torch.no_grad():
        for parameter in original.parameters():
            parameter.zero_()
    assert torch.equal(duplicate(clips), before)
