"""Where nothing was said, a run that this machine finishes; what was said always wins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pretrain.presets as presets
from pretrain.cli import parse
from pretrain.config import PretrainConfig
from pretrain.presets import cpu_settings, preset_words, with_preset


@pytest.fixture(autouse=True)
def on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "has_gpu", lambda: False)


def settled(*arguments: str) -> PretrainConfig:
    return with_preset(parse(PretrainConfig, arguments, "pretrain.py"), arguments, "pretrain.py")


def test_without_a_gpu_the_run_is_short_and_says_so() -> None:
    config = settled("--catalogue.root", "videos")
    assert config.preset == "cpu"
    assert config.optim == cpu_settings().optim
    assert config.optim.steps * config.optim.batch_size < PretrainConfig().optim.steps * 32 / 30
    assert str(config.catalogue.root) == "videos"
    told = preset_words(config)
    chosen = "small3d, 1500 steps of 12 windows, peak learning rate 0.003"
    assert told.startswith(f"preset cpu (no CUDA device is used): {chosen};")
    assert told.endswith("--preset gpu takes the other: 20000 steps of 32\n")
    assert told.count("\n") == 1


def test_flags_win_over_the_preset() -> None:
    config = settled("--optim.steps", "20000", "--backbone.name", "r3d_18", "--validate-every", "1000")
    assert (config.optim.steps, config.backbone.name, config.validate_every) == (20000, "r3d_18", 1000)
    assert config.optim.batch_size == cpu_settings().optim.batch_size
    assert preset_words(config).startswith("preset cpu (no CUDA device is used): r3d_18, 20000 steps of 12")


def test_a_file_is_something_said(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("optim: {steps: 7}\n")
    config = settled(str(file))
    assert (config.preset, config.optim.batch_size, preset_words(config)) == ("gpu", 32, "")
    asked = settled(str(file), "--preset", "cpu", "--optim.lr", "0.5")
    assert (asked.preset, asked.optim.steps, asked.optim.batch_size, asked.optim.lr) == ("cpu", 7, 12, 0.5)


def test_a_gpu_takes_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "has_gpu", lambda: True)
    assert settled().optim == PretrainConfig().optim
    assert settled("--device", "cpu").preset == "cpu"
    assert preset_words(settled("--preset", "cpu")).startswith("preset cpu (asked for)")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    assert settled().preset == "cpu"
    assert settled("--preset", "gpu").optim == PretrainConfig().optim


def test_a_run_goes_on_with_what_it_began_with(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    again = ("--output", str(tmp_path), "--resume")
    config.write_text(json.dumps({"optim.steps": 20000}))
    assert settled(*again).preset == "gpu", "from before there were presets"
    config.write_text(json.dumps({"preset": "cpu"}))
    assert settled(*again).optim == cpu_settings().optim
    assert settled("--output", str(tmp_path / "other"), "--resume").preset == "cpu"
