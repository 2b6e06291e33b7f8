"""The demo: how it runs a step, and its summary of where, made of what scripts/localise.py wrote."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from demo import road as demo
from pretrain.errors import UserError
from tests.scripts.located_world import call


def test_the_summary_says_where(located_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "ROOT", tmp_path)
    out = tmp_path / demo.DEMO / "cells" / "localisation"
    frames = str(located_world / "frames")
    assert call(located_world / "run", out, "--whole-frame", frames, pictures=(1, 1)) == 0
    document = json.loads((out / "localisation.json").read_text())
    found = demo.localisation(document)
    cells, centre = (method["metrics"] for method in document["methods"][:2])
    assert document["methods"][1]["method"] == "always the centre"
    assert (found["videos"], found["pointing"]) == (6, cells["pointing"]["value"])
    assert found["pointing_ci_low"] <= found["pointing"] <= found["pointing_ci_high"]
    assert found["pointing_chance"] == pytest.approx(1 / 6)
    assert found["pointing_centre"] == centre["pointing"]["value"] < found["pointing"]
    assert (found["pixel_auc"], found["pixel_auc_centre"]) == (
        cells["pixel_auc"]["value"],
        centre["pixel_auc"]["value"],
    )
    assert [Path(path).suffix for path in found["pictures"]] == [".mp4", ".png"]
    assert all((tmp_path / path).is_file() for path in found["pictures"])


def test_a_step_in_this_process_says_how_it_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = list(sys.argv)
    assert demo.run_step(["scripts/report.py", "--help"]) == 0
    assert "Write report.html of a run" in capsys.readouterr().out
    assert demo.run_step(["scripts/report.py", str(tmp_path)]) == 2
    assert "holds no config.json" in capsys.readouterr().err
    assert sys.argv == before


def test_the_first_step_that_fails_ends_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    def run_step(command: list[str]) -> int:
        taken.append(command[0])
        return 3 * (len(taken) == 2)

    monkeypatch.setattr(demo, "run_step", run_step)
    monkeypatch.setattr(demo.os, "chdir", lambda folder: None)
    with pytest.raises(UserError, match=r"step 2 \(make proxies to train from\) left with exit status 3"):
        demo.demo()
    assert len(taken) == 2
