"""A run folder is never overwritten, mixed or shared by accident."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from downstream.training.config import FinetuneConfig
from downstream.training.finetune import finetune
from pretrain.errors import UserError
from tests.downstream.simulated import make_features
from tests.pretrain.conftest import changed


@pytest.fixture
def done(small_run: FinetuneConfig, tmp_path: Path) -> FinetuneConfig:
    """A finished run on features of its own."""
    data = make_features(tmp_path / "data")
    config = changed(small_run, optim__steps=20, catalogue__root=data, features__sets=(data / "features",), plots=False)
    finetune(config)
    return config


def test_a_finished_run_without_states_is_not_overwritten(done: FinetuneConfig) -> None:
    shutil.rmtree(done.output / "seed-0" / "checkpoints")  # to save space
    with pytest.raises(UserError, match="seed-0 already holds a run: add --resume"):
        finetune(done)
    with pytest.raises(UserError, match=r"differ from those in .*config.json:\n  - optim.lr: was 0.01, is 0.5"):
        finetune(changed(done, resume=True, seeds=(0, 1), optim__lr=0.5))
    assert finetune(changed(done, resume=True)) == 0


def test_other_values_or_labels_under_the_same_names_are_refused(done: FinetuneConfig, tmp_path: Path) -> None:
    (done.output / "seed-0" / "summary.json").unlink()
    (folder,) = done.features.sets
    shutil.move(folder, tmp_path / "before")
    shutil.copytree(make_features(tmp_path / "other", shift=9.0) / "features", folder)
    with pytest.raises(UserError, match=r"was changed since it began:\n  - feature set 1: was \w+ .*, is \w+"):
        finetune(changed(done, resume=True))
    shutil.rmtree(folder)
    shutil.move(tmp_path / "before", folder)
    assert finetune(changed(done, resume=True)) == 0
    file = done.catalogue.root / "annotations" / "ground_truth.json"
    lists = json.loads(file.read_text())
    del lists["videos"]["v003"]
    file.write_text(json.dumps(lists))
    with pytest.raises(UserError, match=r"  - training videos: was 20 \(.*, is 19 \("):
        finetune(changed(done, resume=True))


def test_a_lost_detector_and_a_damaged_summary_are_named(done: FinetuneConfig) -> None:
    summary = done.output / "seed-0" / "summary.json"
    summary.write_text("{")
    with pytest.raises(
        UserError, match=r"summary.json is damaged .*: delete it and run the same command with --resume"
    ):
        finetune(changed(done, resume=True))
    summary.unlink()
    shutil.rmtree(done.output / "seed-0" / "detector")
    with pytest.raises(UserError, match=r"detector is gone.*selected at step 20: delete .*seed-0"):
        finetune(changed(done, resume=True))
