"""What a plug-in is made of: a package of your own that adds a pretext task, a loss, a backbone or a dataset.

docs/plugins.md shows each; `pretrain.plugins` finds them. Names are imported where they are used: a plug-in is
loaded while the program is still being put together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomaly_pretext.lazy import from_modules

if TYPE_CHECKING:
    from downstream.detector.bags import Bags, LossParts, mean_of_chosen, normal_instances
    from downstream.detector.loss_config import check_weight
    from downstream.detector.terms import LossTerm, from_function
    from pretext_tasks.base import ClipGeometry, ClipSample, PretextTask, one_clip
    from pretext_tasks.networks import PooledClassifier
    from pretrain.backbones.assembly import assemble, map_of_net
    from pretrain.backbones.base import Backbone
    from pretrain.backbones.config import BackboneConfig, Clip
    from pretrain.data.catalogue import Catalogue, CatalogueConfig, Video
    from pretrain.errors import UserError

__all__ = [
    "Backbone",
    "BackboneConfig",
    "Bags",
    "Catalogue",
    "CatalogueConfig",
    "Clip",
    "ClipGeometry",
    "ClipSample",
    "LossParts",
    "LossTerm",
    "PooledClassifier",
    "PretextTask",
    "UserError",
    "Video",
    "assemble",
    "check_weight",
    "from_function",
    "map_of_net",
    "mean_of_chosen",
    "normal_instances",
    "one_clip",
]

_MODULES = {
    "pretext_tasks.base": ("ClipGeometry", "ClipSample", "PretextTask", "one_clip"),
    "pretext_tasks.networks": ("PooledClassifier",),
    "pretrain.backbones.assembly": ("assemble", "map_of_net"),
    "pretrain.backbones.base": ("Backbone",),
    "pretrain.backbones.config": ("BackboneConfig", "Clip"),
    "pretrain.data.catalogue": ("Catalogue", "CatalogueConfig", "Video"),
    "pretrain.errors": ("UserError",),
    "downstream.detector.bags": ("Bags", "LossParts", "mean_of_chosen", "normal_instances"),
    "downstream.detector.loss_config": ("check_weight",),
    "downstream.detector.terms": ("LossTerm", "from_function"),
}
"""Module, as a checkout names it -> what is taken from it."""

__getattr__ = from_modules(__name__, _MODULES)
