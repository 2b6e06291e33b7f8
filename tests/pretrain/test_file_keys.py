"""Unknown keys of configuration files: their line and the nearest key, or whose file it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from downstream.ablation.config import read_config
from downstream.features.config import ExtractConfig
from downstream.training.config import FinetuneConfig
from pretrain.cli import parse
from pretrain.config import PretrainConfig
from pretrain.errors import UserError
from pretrain.file_keys import KEYS_OF, check_keys
from pretrain.flags import flag_names, parts_of
from tests.paths import ROOT
from tests.test_flags import commands, configuration

CONFIGS = ROOT / "configs"


def problem(file: Path, config: type = PretrainConfig, prog: str = "pretrain.py") -> str:
    with pytest.raises(UserError) as caught:
        parse(config, [str(file)], prog)
    return str(caught.value)


def test_a_typo_names_key_file_line_and_the_nearest_key(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("seed: 3\noptim:\n  stps: 30\n")
    assert problem(file) == f"{file}, line 3: pretrain.py has no setting optim.stps; did you mean 'optim.steps'?"
    file.write_text("min_lr: 1\noptim: 3\nweight_decay: 0.1\n")
    assert problem(file).splitlines() == [
        f"{file} has 3 settings that pretrain.py does not have:",
        "  - line 1: min_lr",
        "  - line 2: optim: it is a section, and its settings stand below it (optim.steps and others)",
        "  - line 3: weight_decay; did you mean 'optim.weight_decay'?",
    ]
    with pytest.raises(UserError, match=r"^PretrainConfig has no setting optim.stps; did you mean 'optim.steps'\?$"):
        check_keys({"optim.stps": 3}, PretrainConfig, "PretrainConfig")


def test_switches_and_keys_with_dots_or_dashes_are_known(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("optim.steps: 30\nvalidation-windows: 3\nno_resume: true\n")
    assert parse(PretrainConfig, [str(file)], "pretrain.py").optim.steps == 30


@pytest.mark.parametrize(
    ("file", "config", "prog", "owner", "first"),
    [
        ("demo_pretrain.yaml", FinetuneConfig, "finetune.py", "pretrain.py", "data.proxies (line 8)"),
        ("demo_detector.yaml", PretrainConfig, "pretrain.py", "scripts/finetune.py", "features.sets (line 7)"),
        ("ucf_crime_ablation.yaml", PretrainConfig, "pretrain.py", "scripts/ablate.py", "seeds (line 4)"),
        ("ucf_crime_features.yaml", FinetuneConfig, "finetune.py", "scripts/extract_features.py", "out (line 4)"),
        ("features.yaml", ExtractConfig, "extract_features.py", "scripts/finetune.py", "detector.temporal (line 3)"),
    ],
)
def test_a_file_of_another_command_says_whose_it_is(file: str, config: type, prog: str, owner: str, first: str) -> None:
    told = problem(CONFIGS / file, config, prog)
    assert told.startswith(f"{CONFIGS / file} looks like a configuration of {owner}: {prog} has no {first}")
    assert f"Give it to {owner}, and {prog} one of its own" in told


def test_a_grids_own_mappings_are_no_unknown_keys(tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text("feature_sets: {a: x}\nvariants:\n  b: {optim: {steps: 3}}\noptim: {stps: 4}\n")
    with pytest.raises(UserError, match=r"grid.yaml, line 4: ablate.py has no setting optim.stps"):
        read_config([str(file)], "ablate.py")


def test_every_key_that_tells_a_command_is_a_flag_of_it() -> None:
    modules = commands()
    for command, keys in KEYS_OF.items():
        flags = flag_names(configuration(modules[Path(command).stem]))
        for key in keys:
            assert key in flags or (key.endswith(".") and any(flag.startswith(key) for flag in flags)), (command, key)


def test_values_of_another_kind_are_told_with_their_key_and_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("optim:\n  steps: [1, 2]\n  lr: yes\nresume: yes\n")
    assert problem(file).splitlines() == [
        f"{file}, pretrain.py: 2 value(s) of another kind:",
        "  - line 2: optim.steps is [1, 2]; it takes one value",
        "  - line 3: optim.lr is yes (or true, on), and it is no switch; a word that is meant stands in quotes",
    ]
    file.write_text("features:\n  normalise: off\n")
    assert "line 2: features.normalise is no (or false, off), and it is no switch" in problem(
        file, FinetuneConfig, "scripts/finetune.py"
    )


@pytest.mark.parametrize("hint", [tuple[int, ...] | None, list[str], Sequence[Path] | None])
def test_what_a_type_is_made_of(hint: Any) -> None:
    assert parts_of(hint) & {tuple, list, Sequence}
    assert not parts_of(Literal["a", "b"] | None) & {tuple, list, Sequence, bool}
