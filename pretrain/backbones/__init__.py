"""Video backbones: torchvision's networks, any timm image model with temporal mixing, and a small one of our own.

backbone = build_backbone(BackboneConfig(name="r3d_18"))
feature_map = backbone(clips)            # (B, 3, T, H, W), normalised with backbone.spec -> (B, D, T', H', W')
features = backbone.pool(feature_map)    # (B, D)
save_backbone(backbone, Path("export"), {"steps": 1000})
backbone, card = load_backbone(Path("export"))
"""

from pretrain.backbones.base import Backbone, BackboneConfig, BackboneSpec, Clip
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
