"""The names a backbone can have, and building one from its configuration.

To add a network: its file with `build_NAME(config) -> Backbone`, a line in `BACKBONES`, its test.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from pretrain.backbones.base import Backbone
from pretrain.backbones.config import BackboneConfig
from pretrain.backbones.hugging_face import HF_PREFIX, build_hf
from pretrain.backbones.small import build_small3d
from pretrain.backbones.timm_frames import PREFIX, build_timm, download_timm
from pretrain.backbones.torchvision_nets import FAMILIES, build_torchvision, download_torchvision
from pretrain.backbones.weights import StoredWeights, read_weights, start_from
from pretrain.errors import UserError, nearest
from pretrain.plugins import find_plugins, not_callable
from pretrain.weight_files import refuse_not_finite

BACKBONES: dict[str, Callable[[BackboneConfig], Backbone]] = {
    "small3d": build_small3d,
    **dict.fromkeys(FAMILIES, build_torchvision),
}
BACKBONES |= find_plugins("backbones", BACKBONES, not_callable)
"""The names known by themselves; beside them `timm/<model>` is any timm image model, `hf/<folder>` a video model."""


def list_backbones() -> list[str]:
    """The names known by themselves, sorted."""
    return sorted(BACKBONES)


def build_backbone(config: BackboneConfig, *, fetch: bool = True) -> Backbone:
    """The backbone a configuration asks for, on the CPU, in training mode.

    Random weights come from torch's global generator (`torch.manual_seed` is the caller's). Raises UserError for an
    unknown name (with the nearest known), a clip the network cannot take, weights that do not fit, and a network that
    cannot be frozen. `fetch` off: published weights come from an earlier download on this machine, never from the
    network.
    """
    builder = _builder(config.name)
    if config.freeze and not config.name.startswith(PREFIX):
        raise UserError(
            f"backbone.freeze keeps an image network as it is and trains a temporal module on top, and '{config.name}' "
            "is a video network without such a module: take an image network (backbone.name timm/<model>, "
            "timm/efficientnet_lite0 for instance), or leave backbone.freeze out"
        )
    backbone = builder(config)
    if config.weights is not None:
        start_from(backbone, read_weights(config.weights))
    elif config.download:
        start_from(backbone, _downloaded(config.name, fetch))
        backbone.initialisation = f"published weights of {config.name}, downloaded"
    if config.freeze:
        backbone.freeze()
    return backbone


def _builder(name: str) -> Callable[[BackboneConfig], Backbone]:
    if name.startswith(PREFIX):
        return build_timm
    if name.startswith(HF_PREFIX):
        return build_hf
    if name.startswith("onnx/") or name.endswith(".onnx"):
        raise UserError(
            f"'{name}' is an ONNX file, which is run and not trained: extract its features "
            "(scripts/extract_features.py --backbone onnx/FILE), and train detectors on them"
        )
    if name not in BACKBONES:
        raise UserError(
            f"unknown backbone '{name}'{nearest(name, BACKBONES) or '.'} Known: {', '.join(list_backbones())}, "
            f"timm/<model> for any timm image model, and hf/<folder> for a Hugging Face video model"
        )
    return BACKBONES[name]


def _downloaded(name: str, fetch: bool) -> StoredWeights:
    if name.startswith(PREFIX):
        return _finite(download_timm(name.removeprefix(PREFIX), fetch=fetch), f"the download of {name}")
    if name in FAMILIES:
        return _finite(download_torchvision(name, fetch=fetch), f"the download of {name}")
    if name.startswith(HF_PREFIX):
        raise UserError(
            f"'{name}' is a folder on this machine and brings its weights: leave backbone.download out. Get a model "
            "with `hf download MODEL --local-dir FOLDER`"
        )
    raise UserError(
        f"backbone '{name}' has no published weights to download; leave backbone.download out, or give backbone.weights"
    )


def _finite(state: dict[str, Tensor], source: str) -> StoredWeights:
    refuse_not_finite(state, source)
    return StoredWeights(state, source)
