"""The demo's summary: what it reads from what the steps wrote, and how it says it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from demo.summary import DEMO, summarise
from pretrain.files import write_json
from tests.scripts.located_world import call

PRETEXT = {
    "abrupt_change": {
        "accuracy": 0.979,
        "ci_low": 0.956,
        "ci_high": 0.990,
        "chance": 0.5,
        "clips": 480,
        "videos": 10,
    }
}


def method(value: float, ci_low: float, ci_high: float) -> dict[str, Any]:
    """What the evaluation says of one method, as far as the demo reads it."""
    area = {"value": value, "ci_low": ci_low, "ci_high": ci_high, "per_seed": [value, value]}
    return {"metrics": {"frame_auc": area}, "test_set": {"videos": 24}}


EVALUATION = {
    "methods": [method(0.506, 0.439, 0.575), method(0.616, 0.556, 0.686)],
    "comparisons": [{"second_less_first": {"frame_auc": {"difference": 0.110, "ci_low": 0.038, "ci_high": 0.178}}}],
}


def test_the_summary_says_where(located_world: Path, tmp_path: Path) -> None:
    out = tmp_path / DEMO / "cells" / "localisation"
    frames = str(located_world / "frames")
    assert call(located_world / "run", out, "--whole-frame", frames, pictures=(1, 1)) == 0
    document = json.loads((out / "localisation.json").read_text())
    write_json(tmp_path / DEMO / "pretrain" / "summary.json", {"steps": 400, "pretext": PRETEXT})
    write_json(tmp_path / DEMO / "evaluation" / "evaluation.json", EVALUATION)
    said = summarise(tmp_path, 61.0)
    figures = json.loads((tmp_path / DEMO / "summary.json").read_text())["localisation"]
    cells, centre = (listed["metrics"] for listed in document["methods"][:2])
    assert document["methods"][1]["method"] == "always the centre"
    assert (figures["videos"], figures["pointing"]) == (6, cells["pointing"]["value"])
    assert figures["pointing_ci_low"] <= figures["pointing"] <= figures["pointing_ci_high"]
    assert figures["pointing_chance"] == pytest.approx(1 / 6)
    assert figures["pointing_centre"] == centre["pointing"]["value"] < figures["pointing"]
    assert (figures["pixel_auc"], figures["pixel_auc_centre"]) == (
        cells["pixel_auc"]["value"],
        centre["pixel_auc"]["value"],
    )
    assert [Path(path).suffix for path in figures["pictures"]] == [".mp4", ".png"]
    assert all((tmp_path / path).is_file() for path in figures["pictures"])
    assert f"detector of cells    {figures['pointing']:.3f} " in said
    assert f"by chance            {1 / 6:.3f} " in said
    assert "abrupt_change 0.979 0.956 to 0.990 0.500 480 10" in " ".join(said.split())
    assert "difference          +0.110   95 % interval +0.038 to +0.178, on the same videos\n" in said
