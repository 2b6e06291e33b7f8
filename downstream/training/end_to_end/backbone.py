"""The backbone that a detector is trained together with: opened, and what is known of it before anything trains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from downstream.features.cells import CellNetwork
from downstream.features.encoders import exported_backbone
from downstream.features.feature_spec import Grid
from downstream.training.config import VideosConfig
from downstream.training.end_to_end.stages import unfreeze
from pretrain.backbones import BACKBONES, Backbone, BackboneConfig, build_backbone
from pretrain.backbones.hugging_face import HF_PREFIX
from pretrain.backbones.shipped import or_shipped
from pretrain.backbones.timm_frames import PREFIX
from pretrain.data.geometry import NO_BORDER, BorderCrop
from pretrain.errors import UserError, nearest


@dataclass(frozen=True, kw_only=True)
class BackboneFacts:
    """What the rest of a run must know of its backbone before it is built for a seed."""

    description: str
    """Network, where its weights are from, what trains."""
    grid: Grid | None
    """Rows and columns of cells; None: whole pictures are scored."""

    @staticmethod
    def of(config: VideosConfig) -> BackboneFacts:
        """UserError for everything that is wrong with the backbone, its grid and its stages."""
        with torch.random.fork_rng(devices=[]):
            backbone, _, card = open_backbone(config)
            grid = None if config.grid is None else CellNetwork(backbone, config.grid).grid
        trained = ", ".join(unfreeze(backbone, config.unfreeze)) or "nothing of it"
        # an exported backbone's `initialisation` is what its own training began with
        origin = f"from {config.backbone}" if card else backbone.initialisation
        spec = backbone.spec
        numbers = spec.feature_dim * (2 if config.pool == "mean_max" else 1)
        return BackboneFacts(description=f"{spec.name} ({origin}), {numbers} numbers, trains: {trained}", grid=grid)


def open_backbone(config: VideosConfig) -> tuple[Backbone, BorderCrop, dict[str, Any]]:
    """The backbone to go on with, the border cut off its frames, and the card it came with (empty for a name).

    Random weights come from torch's global generator. UserError: no such folder or name, or an option of names alone.
    """
    name = config.backbone or ""
    if name in BACKBONES or name.startswith((PREFIX, HF_PREFIX)):
        wanted = BackboneConfig(
            name=name, weights=config.weights, download=config.download, height=config.height, width=config.width
        )
        return build_backbone(wanted), config.border_crop or NO_BORDER, {}
    folder = or_shipped(Path(name))
    if not folder.exists():
        raise UserError(
            f"videos.backbone '{name}' is neither a folder nor a name{nearest(name, BACKBONES) or '.'} Give a "
            "run's folder, an exported one, shipped, timm/<model>, hf/<folder>, or one of "
            f"{', '.join(sorted(BACKBONES))}"
        )
    if config.weights is not None or config.download:
        raise UserError(
            f"{name} is an exported backbone and brings its weights: leave videos.weights and .download out"
        )
    return exported_backbone(folder, config.border_crop, height=config.height, width=config.width)
