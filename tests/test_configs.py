"""Every file in configs/ is read by the command it is for; presets say what is left to give, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from downstream.ablation.config import AblationConfig, read_config
from downstream.features.extract import ExtractConfig
from downstream.training.config import FinetuneConfig
from pretrain.cli import parse, yaml_flags
from pretrain.config import PretrainConfig
from tests.paths import ROOT

CONFIGS = ROOT / "configs"
NAMED = ("bn_wvad", "mgfn", "mil_ranking", "rtfm", "ur_dmu", "vadclip")
PRESETS = ("cells", "end_to_end", "features", "self_training", *NAMED)
FILES = sorted(CONFIGS.glob("*.yaml"))
THE_USERS_OWN = ("--features.sets", "--videos.backbone", "--self-training.teacher", "--output", "--device")


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_every_shipped_configuration_parses(file: Path) -> None:
    kind = file.stem.rpartition("_")[2]
    if kind == "pretrain":
        assert isinstance(parse(PretrainConfig, [str(file)], "pretrain.py"), PretrainConfig)
    elif kind in ("ablation", "search"):
        assert isinstance(read_config([str(file)], "ablate.py"), AblationConfig)
    elif file.stem not in PRESETS and kind in ("features", "cells"):
        assert isinstance(parse(ExtractConfig, [str(file)], "extract_features.py"), ExtractConfig)
    else:
        assert kind == "detector" or file.stem in PRESETS
        assert isinstance(parse(FinetuneConfig, [str(file)], "finetune.py"), FinetuneConfig)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_holds_no_path_of_anybody_and_a_flag_after_it_wins(name: str) -> None:
    file = CONFIGS / f"{name}.yaml"
    for flag in yaml_flags(file, FinetuneConfig, "finetune.py"):
        assert flag not in THE_USERS_OWN
        assert not flag.startswith("--catalogue.")
    assert f"configs/{file.name}" in file.read_text(encoding="utf-8") or name in NAMED
    changed = parse(FinetuneConfig, [str(file), "--optim.steps", "7", "--seeds", "5"], "finetune.py")
    assert (changed.optim.steps, changed.seeds) == (7, (5,))
    assert changed != parse(FinetuneConfig, ["--optim.steps", "7", "--seeds", "5"], "finetune.py")
