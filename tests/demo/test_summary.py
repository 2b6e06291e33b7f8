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


def method(name: str, value: float) -> dict[str, Any]:
    """What the evaluation says of one method, as far as the demo reads it."""
    area = {"value": value, "ci_low": value - 0.06, "ci_high": value + 0.07}
    points = [{"false_alarms_per_hour": rate, "found": rate / 10} for rate in (0.0, 10.0, 20.0, 30.0)]
    return {
        "method": name,
        "metrics": {"frame_auc": area, "per_video_auc": area | {"value": value + 0.01}},
        "test_set": {"videos": 24},
        "operating_curve": {"anomalies": 12, "points": points},
    }


def less(value: float) -> dict[str, Any]:
    """A comparison with the first method."""
    return {"second_less_first": {"frame_auc": {"difference": value, "ci_low": value - 0.07, "ci_high": value + 0.08}}}


def best(method: str, metric: str, name: str, value: float) -> dict[str, Any]:
    """The best reference beside a method."""
    above = {"difference": 0.05, "ci_low": -0.10, "ci_high": 0.18, "clear": False}
    return {"method": method, "metric": metric, "name": name, "value": value} | above


EVALUATION = {
    "methods": [
        method(*named)
        for named in (("detector", 0.679), ("normal", 0.640), ("detector_random", 0.569), ("ceiling", 0.717))
    ],
    "comparisons": [less(-0.039), less(-0.110), less(0.038)],
    "best_reference": [
        best("detector", "frame_auc", "normal distance", 0.628),
        best("detector", "per_video_auc", "motion energy", 0.664),
        best("normal", "frame_auc", "normal distance", 0.628),
    ],
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
    when = json.loads((tmp_path / DEMO / "summary.json").read_text())["detection"]
    assert (when["auc"], when["label_free_auc"], when["ceiling_auc"]) == (0.679, 0.640, 0.717)
    assert (when["best_reference"], when["best_reference_auc"]) == ("normal distance", 0.628)
    assert (when["over_reference"], when["over_reference_ci_low"]) == (0.05, -0.10)
    assert (when["over_random"], when["over_random_ci_low"]) == (0.110, pytest.approx(0.03))
    assert (when["found"], when["false_alarms_per_hour"], when["anomalies"]) == (2.0, 20.0, 12)
    assert "detector, from video labels             0.679      0.689\n" in said
    assert "+0.050 (-0.100 to +0.180) over the best of no learning, +0.110 (+0.030 to +0.180) over random" in said
    assert "at 20 false alarms an hour it finds 2 of 12 anomalies" in said
