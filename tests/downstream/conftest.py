from __future__ import annotations

from pathlib import Path

import pytest

from downstream.detector.model import DetectorConfig
from downstream.training.bag_dataset import BagsConfig
from downstream.training.config import DetectorOptimConfig, FeaturesConfig, FinetuneConfig
from pretrain.data.catalogue import CatalogueConfig
from tests.downstream.simulated import make_features


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 training and 12 test videos of simulated features, with ground truth."""
    return make_features(tmp_path_factory.mktemp("simulated"))


@pytest.fixture
def small_run(simulated: Path, tmp_path: Path) -> FinetuneConfig:
    """A run on simulated features that takes a second."""
    return FinetuneConfig(
        output=tmp_path / "run",
        device="cpu",
        log_every=20,
        validate_every=20,
        save_every=20,
        catalogue=CatalogueConfig(kind="json", root=simulated),
        features=FeaturesConfig(sets=(simulated / "features",)),
        bags=BagsConfig(segments=8, cache=tmp_path / "segments"),
        detector=DetectorConfig(width=16, hidden=8, dropout=0.3),
        optim=DetectorOptimConfig(steps=60, batch_size=8, warmup_steps=2, lr=1e-2),
    )
