"""The demo: how it runs a step, and that it ends with the first that fails."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo import road
from pretrain.cli import parse
from pretrain.errors import UserError
from tests.paths import ROOT
from tests.test_flags import commands, configuration


def test_a_step_in_this_process_says_how_it_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = list(sys.argv)
    assert road.run_step(["report", "--help"]) == 0
    assert "Write report.html of a run" in capsys.readouterr().out
    assert road.run_step(["report", str(tmp_path)]) == 2
    assert "holds no config.json" in capsys.readouterr().err
    assert sys.argv == before


def test_the_first_step_that_fails_ends_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    def run_step(command: list[str]) -> int:
        taken.append(command[0])
        return 3 * (len(taken) == 2)

    monkeypatch.setattr(road, "run_step", run_step)
    with pytest.raises(UserError, match=r"step 2 \(make proxies to train from\) left with exit status 3"):
        road.demo()
    assert len(taken) == 2


def test_steps_are_shown_as_they_are_typed() -> None:
    shown = [road.typed(command) for _, command in road.STEPS]
    assert shown[0] == "python scripts/make_demo_videos.py runs/demo/videos"
    assert sum("pretrain.py configs/demo_pretrain.yaml --resume" in line for line in shown) == 1


OF_PRETRAINING = ("-m", "build_cache")
"""Accelerate's launcher and the proxies: both take the configuration of the pretraining."""


def settings() -> list[tuple[str, Any]]:
    """Of every step that has a configuration of its own: its command, and what its words are parsed to."""
    modules = commands()
    steps = [command for _, command in road.STEPS if command[0] not in OF_PRETRAINING]
    return [(name, parse(configuration(modules[name]), words, name)) for name, *words in steps]


def test_every_step_is_one_that_its_command_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert len(settings()) == len(road.STEPS) - 2


def test_pretrained_and_random_weights_see_the_same_frames_and_cells_larger_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    pretrained, random, cells = [config.encoder for name, config in settings() if name == "extract_features"]
    assert (pretrained.height, pretrained.width) == (random.height, random.width) == (128, 192)
    assert (cells.height, cells.width, cells.grid) == (192, 288, (8, 12))
    # that of the pretraining, whose backbone says it; random weights say nothing
    pretraining = yaml.safe_load((ROOT / "configs" / "demo_pretrain.yaml").read_text(encoding="utf-8"))
    assert list(random.border_crop) == pretraining["data"]["border_crop"]
    (motion,) = [config.border_crop for name, config in settings() if name == "reference_scores"]
    assert list(motion) == pretraining["data"]["border_crop"]
