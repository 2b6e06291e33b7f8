from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pretext_tasks import PretextTasks, Speed
from pretrain.backbones import BackboneConfig
from pretrain.config import DataConfig, OptimConfig, PretrainConfig
from pretrain.data.catalogue import CatalogueConfig
from tests.pretrain.encoding import encode_folder


@pytest.fixture(scope="session")
def clips_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six real videos of 80 frames."""
    return encode_folder(tmp_path_factory.mktemp("clips"))


@pytest.fixture
def tiny_config(clips_folder: Path, tmp_path: Path) -> PretrainConfig:
    """A run of six small steps on the CPU that takes a second or two."""
    return PretrainConfig(
        output=tmp_path / "run",
        device="cpu",
        log_every=1,
        validate_every=100,
        save_every=3,
        validation_windows=1,
        catalogue=CatalogueConfig(root=clips_folder),
        data=DataConfig(workers=0, cache=clips_folder.parent / "cache"),
        backbone=BackboneConfig(height=32, width=48),
        tasks=PretextTasks(speed=Speed(strides=(1, 2, 4))),
        optim=OptimConfig(steps=6, batch_size=4, warmup_steps=2, lr=1e-3),
    )


def changed(config: PretrainConfig, **fields: object) -> PretrainConfig:
    """A copy with other values; `section__key` reaches into a section."""
    for key, value in fields.items():
        section, _, name = key.rpartition("__")
        if section:
            value = dataclasses.replace(getattr(config, section), **{name: value})
        config = dataclasses.replace(config, **{section or name: value})
    return config
