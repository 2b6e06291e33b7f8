"""Small real videos, a backbone, and runs that were trained on its features: of whole pictures, and of cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from downstream.detector.model import DetectorConfig
from downstream.features.encoders import EncoderConfig
from downstream.features.extract import ExtractConfig, extract
from downstream.training.bag_dataset import BagsConfig
from downstream.training.config import DetectorOptimConfig, FeaturesConfig, FinetuneConfig
from downstream.training.finetune import finetune
from pretrain.backbones import BackboneConfig, build_backbone, save_backbone
from pretrain.data.catalogue import CatalogueConfig
from tests.pretrain.encoding import encode_video

LENGTHS = (80, 70, 48, 64, 80, 48, 100, 90, 40, 200)
"""Frames; the last two videos are for testing."""
PLAIN: dict[str, Any] = {"width": 12, "hidden": 4, "score_smoothing": 0, "composition": "none"}
"""Each snippet scored by itself: a stream then has the scores of its file."""
TEST = {"v8": 40, "v9": 200}


def build_world(root: Path) -> Path:
    """`videos`, `list.csv`, `backbone`, `features/KIND`, `runs/KIND` (two seeds each); `large`: frames of another size
    than the backbone was pretrained on."""
    rows = ["path,label,split,spans"]
    for number, frames in enumerate(LENGTHS):
        encode_video(root / "videos" / f"v{number}.mp4", number, num_frames=frames)
        rows.append(f"v{number}.mp4,{number % 2},{'test' if number >= 8 else 'train'},{'20:60' if number == 9 else ''}")
    (root / "list.csv").write_text("\n".join(rows))
    torch.manual_seed(0)
    save_backbone(build_backbone(BackboneConfig(height=32, width=48)), root / "backbone", {})
    train(root, "whole", {}, FeaturesConfig(sets=(root / "features" / "whole",)), DetectorConfig(**PLAIN))
    larger = {"height": 48, "width": 64}
    train(root, "large", larger, FeaturesConfig(sets=(root / "features" / "large",)), DetectorConfig(**PLAIN))
    features = FeaturesConfig(sets=(root / "features" / "cells",), normalise="place", pool_cells=(2, 3))
    detector = DetectorConfig(**PLAIN, temporal="multi_scale")
    train(root, "cells", {"grid": "map"}, features, detector)
    return root


def train(root: Path, name: str, encoder: dict[str, Any], features: FeaturesConfig, detector: DetectorConfig) -> None:
    """Extract features with the backbone, as float16, and train on them."""
    catalogue = CatalogueConfig(kind="csv", root=root / "videos", annotations=root / "list.csv")
    out = root / "features" / name
    assert (
        extract(
            ExtractConfig(
                out=out,
                encoder=EncoderConfig(backbone=str(root / "backbone"), **encoder),
                catalogue=catalogue,
                device="cpu",
                decoders=1,
            )
        )
        == 0
    )
    config = FinetuneConfig(
        output=root / "runs" / name,
        device="cpu",
        catalogue=catalogue,
        features=features,
        bags=BagsConfig(segments=6, cache=root / "segments"),
        detector=detector,
        optim=DetectorOptimConfig(steps=10, batch_size=4, warmup_steps=1, lr=1e-2),
        seeds=(0, 1),
        validation_fraction=0.5,
        plots=False,
        validate_every=5,
        log_every=10,
    )
    assert finetune(config) == 0
