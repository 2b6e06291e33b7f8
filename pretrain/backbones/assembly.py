"""Putting a backbone together: one dry pass says what it gives, whether the clip fits, and what training can reach."""

from __future__ import annotations

import logging

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from pretrain.backbones.activation_checkpointing import checkpoint_blocks
from pretrain.backbones.base import Backbone, ToMap
from pretrain.backbones.config import BackboneConfig, BackboneSpec, Clip
from pretrain.backbones.temporal_mixing import TemporalMixing, TemporalModule
from pretrain.errors import UserError


def assemble(config: BackboneConfig, net: nn.Module, to_map: ToMap, clip: Clip, *, per_frame: bool = False) -> Backbone:
    """The backbone of a native network; `per_frame` adds temporal mixing, or a narrow module where it is frozen.

    Raises UserError where the network cannot take clips of that size.
    """
    map_shape, off_path = dry_pass(config.name, net, to_map, clip)
    for name, parameter in net.named_parameters():
        if name in off_path:
            parameter.requires_grad_(False)
    mixing = None
    if per_frame:
        mixing = TemporalModule(map_shape[1]) if config.freeze else TemporalMixing(map_shape[1])
    spec = BackboneSpec(
        name=config.name,
        feature_dim=mixing.width if isinstance(mixing, TemporalModule) else map_shape[1],
        clip=clip,
        map_size=(map_shape[2], map_shape[3], map_shape[4]),
    )
    if config.activation_checkpointing:
        checkpoint_blocks(net)
        if mixing is not None:
            checkpoint_blocks(mixing)
    return Backbone(spec, net, to_map, mixing, off_path)


def map_of_net(net: nn.Module, clips: torch.Tensor) -> torch.Tensor:
    """The way to the map of a network of our own: its forward pass gives nothing else."""
    feature_map: torch.Tensor = net(clips)
    return feature_map


def dry_pass(name: str, net: nn.Module, to_map: ToMap, clip: Clip) -> tuple[torch.Size, list[str]]:
    """The shape of the feature map of one clip, and the names of the parameters it does not depend on.

    A forward and a backward pass on shapes alone (fake tensors): no arithmetic, no memory, about a second for the
    largest networks. It finds the head of any timm model without a list of their names.
    """
    net.eval()  # batch norm in training mode refuses a single value per channel; here only shapes count
    parameters = dict(net.named_parameters())
    quiet = logging.getLogger("torch._subclasses.fake_tensor")  # prints a traceback before it raises
    level = quiet.level
    quiet.setLevel(logging.CRITICAL)
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), torch.enable_grad():
            feature_map = to_map(net, torch.empty(1, 3, clip.frames, clip.height, clip.width))
            gradients = torch.autograd.grad(feature_map.sum(), list(parameters.values()), allow_unused=True)
    except UserError:
        raise
    except (RuntimeError, AssertionError, ValueError, IndexError, ZeroDivisionError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"backbone '{name}' cannot take clips of {clip.frames} frames of {clip.height}x{clip.width} pixels "
            f"(height x width): {reason}. Leave backbone.clip_frames, .height and .width out for the architecture's "
            f"own, or make them larger"
        ) from error
    finally:
        quiet.setLevel(level)
        net.train()  # also empties what some networks cache in evaluation mode
    if 0 in feature_map.shape:
        raise UserError(
            f"backbone '{name}' gives an empty map for {clip.frames} frames of {clip.height}x{clip.width} pixels; "
            f"enlarge the clip"
        )
    return feature_map.shape, [key for key, gradient in zip(parameters, gradients, strict=True) if gradient is None]
