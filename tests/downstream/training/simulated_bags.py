"""Bags of simulated features."""

from __future__ import annotations

from pathlib import Path

import torch

from downstream.features.fusion import FusedFeatures
from downstream.training.bag_dataset import BagDataset, BagsConfig
from pretrain.data.catalogue import Catalogue, CatalogueConfig
from pretrain.data.catalogues import open_catalogue

CPU = torch.device("cpu")


def catalogue(folder: Path) -> Catalogue:
    return open_catalogue(CatalogueConfig(kind="json", root=folder, check_files=False))


def bags(folder: Path, target: Path, batch_size: int = 8, seed: int = 0, **fields: object) -> BagDataset:
    source = FusedFeatures.open([folder / "features"])
    config = BagsConfig(**{"segments": 8, **fields})  # type: ignore[arg-type]
    return BagDataset(source, list(catalogue(folder).subset("train")), config, batch_size, seed, target, CPU)
