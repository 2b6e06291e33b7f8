"""Video backbones: torchvision's networks, any timm image model with temporal mixing, and a small one of our own.

backbone = build_backbone(BackboneConfig(name="r3d_18"))
feature_map = backbone(clips)            # (B, 3, T, H, W), normalised with backbone.spec -> (B, D, T', H', W')
features = backbone.pool(feature_map)    # (B, D)
save_backbone(backbone, Path("export"), {"steps": 1000})
backbone, card = load_backbone(Path("export"))

What needs PyTorch is loaded when it is asked for: configurations, which every command line reads, take theirs here too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pretrain.backbones.config import BackboneConfig, BackboneSpec, Clip

if TYPE_CHECKING:
    from pretrain.backbones.base import Backbone
    from pretrain.backbones.build import BACKBONES, build_backbone, list_backbones
    from pretrain.backbones.storage import load_backbone, read_card, save_backbone

__all__ = [
    "BACKBONES",
    "Backbone",
    "BackboneConfig",
    "BackboneSpec",
    "Clip",
    "build_backbone",
    "list_backbones",
    "load_backbone",
    "read_card",
    "save_backbone",
]

_LATER = {
    "base": ("Backbone",),
    "build": ("BACKBONES", "build_backbone", "list_backbones"),
    "storage": ("load_backbone", "read_card", "save_backbone"),
}
"""Module of this package -> what is taken from it."""


def __getattr__(name: str) -> Any:
    for module, names in _LATER.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
