"""Real videos and a backbone for them, and a run of a few steps straight from the videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from downstream.detector.model import DetectorConfig
from downstream.training.config import DetectorOptimConfig, FinetuneConfig, VideosConfig
from pretrain.backbones import BackboneConfig, build_backbone, save_backbone
from pretrain.data.catalogue import CatalogueConfig
from tests.pretrain.encoding import encode_video


def film(folder: Path, lengths: Sequence[int]) -> None:
    """`v0.mp4` and so on, of so many frames; in `exported` a backbone that reads 32x48 pixels and gives 4x6 cells."""
    for number, frames in enumerate(lengths):
        encode_video(folder / f"v{number}.mp4", number, num_frames=frames)
    torch.manual_seed(3)
    backbone = build_backbone(BackboneConfig(height=32, width=48))
    save_backbone(backbone, folder / "exported", {"data": {"border_crop": [0.1, 0.0, 0.0, 0.0]}})


def short_run(
    folder: Path, output: Path, *, kind: str, steps: int, videos: dict[str, Any], **fields: Any
) -> FinetuneConfig:
    """A run on what `film` made; `kind` of the catalogue, settings of `videos`, and other fields."""
    own: dict[str, Any] = {
        "log_every": 1,
        "select": "last",
        "plots": False,
        "catalogue": CatalogueConfig(kind=kind, root=folder),
        "videos": VideosConfig(
            backbone=str(folder / "exported"), workers=0, cache=folder / "cache", backbone_lr_share=0.5, **videos
        ),
        "detector": DetectorConfig(width=16, hidden=8, dropout=0.2),
        "optim": DetectorOptimConfig(steps=steps, batch_size=4, warmup_steps=1, lr=1e-2),
    }
    return FinetuneConfig(output=output, device="cpu", **(own | fields))
