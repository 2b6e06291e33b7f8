"""The demo: how it runs a step, and that it ends with the first that fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from demo import road
from pretrain.errors import UserError


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
