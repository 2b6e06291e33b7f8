"""torchvision's video networks: their feature maps, their default clips, their published weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision.models.video as video
from torch import nn
from torchvision.models import get_model_weights

from pretrain.backbones.assembly import assemble
from pretrain.backbones.base import Backbone, ToMap, not_fetched
from pretrain.backbones.config import BackboneConfig, Clip
from pretrain.errors import UserError


def _resnet_map(net: Any, clips: torch.Tensor) -> torch.Tensor:
    x = clips
    for stage in (net.stem, net.layer1, net.layer2, net.layer3, net.layer4):
        x = stage(x)
    return x


def _s3d_map(net: Any, clips: torch.Tensor) -> torch.Tensor:
    feature_map: torch.Tensor = net.features(clips)
    return feature_map


def _swin_map(net: Any, clips: torch.Tensor) -> torch.Tensor:
    x = net.norm(net.features(net.pos_drop(net.patch_embed(clips))))
    return x.movedim(-1, 1)  # (B, T', H', W', D) -> (B, D, T', H', W')


def _mvit_map(net: Any, clips: torch.Tensor) -> torch.Tensor:
    x = net.pos_encoding(net.conv_proj(clips).flatten(2).transpose(1, 2))
    size = (net.pos_encoding.temporal_size, *net.pos_encoding.spatial_size)
    for block in net.blocks:
        x, size = block(x, size)
    tokens = net.norm(x)[:, 1:]  # token 0 is the class token, which sits nowhere in the clip
    return tokens.transpose(1, 2).unflatten(2, size)


@dataclass(frozen=True, kw_only=True)
class _Family:
    to_map: ToMap
    frames: int
    stride: int
    """Frames of a clip and their distance at 30 fps: torchvision's evaluation (clip_len, frame_rate), which its weights
    name in words only. s3d: 128 frames there; 16 here, the length of the other networks [ours]."""
    min_frames: int = 1
    min_size: int = 1
    """Smallest height and width in pixels."""
    fixed: bool = False
    """Position tables: torchvision's constructor gives a network for clips of one size only."""


_RESNET = _Family(to_map=_resnet_map, frames=16, stride=2)
# What the feature layers of s3d need; torchvision's own classifier pools over 2x7x7 and so needs 14 frames of 224x224.
_S3D = _Family(to_map=_s3d_map, frames=16, stride=2, min_frames=5, min_size=17)
_MVIT = _Family(to_map=_mvit_map, frames=16, stride=4, fixed=True)
_SWIN = _Family(to_map=_swin_map, frames=32, stride=2)

FAMILIES: dict[str, _Family] = {
    "r3d_18": _RESNET,
    "mc3_18": _RESNET,
    "r2plus1d_18": _RESNET,
    "s3d": _S3D,
    "mvit_v1_b": _MVIT,
    "mvit_v2_s": _MVIT,
    "swin3d_t": _SWIN,
    "swin3d_s": _SWIN,
    "swin3d_b": _SWIN,
}


def build_torchvision(config: BackboneConfig) -> Backbone:
    """The torchvision network of that name with random weights, as torchvision initialises it."""
    family = FAMILIES[config.name]
    clip = _default_clip(config.name).configured(config)
    _check_clip(config.name, family, clip)
    constructor: Callable[[], nn.Module] = getattr(video, config.name)
    return assemble(config, constructor(), family.to_map, clip)


def download_torchvision(name: str, *, fetch: bool = True) -> dict[str, torch.Tensor]:
    """The published weights of that network (torchvision's default set), hash checked.

    `fetch` off: only from where an earlier download left them. Raises UserError without a network, or such a file.
    """
    weights = _weights(name)
    kept = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
    if not fetch and not kept.is_file():
        raise not_fetched(name)
    try:
        state: dict[str, torch.Tensor] = weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"the weights of '{name}' could not be downloaded ({error}). Fetch {weights.url} where there is a "
            f"network and give the file as backbone.weights, or leave backbone.download out"
        ) from error
    return state


def _default_clip(name: str) -> Clip:
    family, transforms = FAMILIES[name], _weights(name).transforms()
    height, width = transforms.crop_size
    mean, std = tuple(transforms.mean), tuple(transforms.std)
    return Clip(frames=family.frames, stride=family.stride, height=height, width=width, mean=mean, std=std)


def _weights(name: str) -> Any:
    return get_model_weights(name).DEFAULT


def _check_clip(name: str, family: _Family, clip: Clip) -> None:
    default = _default_clip(name)
    rules = (
        ("clip_frames", clip.frames, default.frames, family.min_frames),
        ("height", clip.height, default.height, family.min_size),
        ("width", clip.width, default.width, family.min_size),
    )
    for field, value, own, minimum in rules:
        if value < minimum or (family.fixed and value != own):
            needs = f"takes {own} alone" if family.fixed else f"needs at least {minimum}"
            raise UserError(
                f"backbone.{field} is {value}; '{name}' {needs}. Leave it out for the architecture's own ({own})"
            )
