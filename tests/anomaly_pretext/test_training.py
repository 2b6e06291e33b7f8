"""The whole road from Python, as docs/python.md says it; what was trained is found again from elsewhere."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import anomaly_pretext as ap
from tests.paths import ROOT

QUICK = {
    '"optim.steps": 400': '"optim.steps": 2, "optim.batch-size": 2, "data.workers": 0, "device": "cpu", '
    '"backbone.height": 32, "backbone.width": 48',
    '"out": "features/own"': '"out": "features/own", "device": "cpu"',
    '"output": "runs/detector"': '"output": "runs/detector", "device": "cpu", "plots": False, "optim.steps": 5, '
    '"optim.batch-size": 4, "validation-fraction": 0.5',
    '"output": "runs/ordinary"': '"output": "runs/ordinary", "device": "cpu", "footage": "all", "held-out": 0.1',
}
"""What the page says -> the same in seconds, on ten small videos."""


def test_the_page_holds_from_videos_to_events(
    listed_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(listed_videos, tmp_path / "videos")
    shutil.copy(listed_videos / "v9.mp4", tmp_path / "street.mp4")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    known: dict[str, Any] = {"clips": torch.zeros(1, 3, 8, 32, 48)}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        for said, quick in QUICK.items():
            block = block.replace(said, quick)
        exec(block, known)
    assert known["run"].path == Path("runs/pretrain")
    assert known["run"].summary["steps"] == 2
    assert known["feature_map"].shape[:2] == (1, known["run"].backbone().spec.feature_dim)
    assert len(known["features"].videos) == 10
    result = known["result"]
    assert [each.method for each in result.evaluations] == ["detector", "ordinary"]
    assert 0 <= result.evaluations[0].metrics["frame_auc"].value <= 1
    assert "ordinary" in result.tables()

    names, video = ("detector", "ordinary"), tmp_path / "street.mp4"
    before = [known[name].score(video).scores.tolist() for name in names]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    again = [ap.load_detector(f"../runs/{name}", device="cpu") for name in names]
    assert [each.score(video).scores.tolist() for each in again] == before
    (tmp_path / "runs").rename(elsewhere / "runs")  # a tree that is moved stays whole
    assert ap.load_detector("runs/detector", device="cpu").score(video).scores.tolist() == before[0]


def test_a_wrong_setting_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ap.UserError, match="does not exist"):
        ap.pretrain({"catalogue.root": "nowhere", "output": "runs/pretrain"})
    assert not list(tmp_path.iterdir())
