"""The whole road from Python; what was trained is found again from another working directory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import anomaly_pretext as ap

SMALL = {"backbone.height": 32, "backbone.width": 48, "device": "cpu"}


def test_from_videos_to_events(listed_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    catalogue = {"catalogue": {"kind": "csv", "root": listed_videos, "annotations": listed_videos / "list.csv"}}
    tasks = {"data.workers": 0, "optim.steps": 2, "optim.batch-size": 2, "output": "runs/pretrain"}
    run = ap.pretrain(catalogue, SMALL, tasks)
    assert run.path == Path("runs/pretrain")
    assert run.summary["steps"] == 2
    spec = run.backbone().spec
    clips = torch.zeros(1, 3, spec.clip.frames, 32, 48)
    assert run.backbone()(clips).shape[:2] == (1, spec.feature_dim)
    features = ap.extract_features(catalogue, {"backbone": run.path, "out": "features", "device": "cpu"})
    assert len(features.videos) == 10
    quick = {"features.sets": features.folder, "device": "cpu", "plots": False, "optim.steps": 5, "optim.batch-size": 4}
    detector = ap.finetune(catalogue, quick, {"output": "runs/detector", "validation-fraction": 0.5})
    footage = {"footage": "all", "held-out": 0.1, "features.sets": "features", "device": "cpu"}
    normal = ap.fit_normal(catalogue, footage, {"output": "runs/normal"})
    result = ap.evaluate("runs/detector", "runs/normal", plots=False)
    assert [each.method for each in result.evaluations] == ["detector", "normal"]
    assert 0 <= result.evaluations[0].metrics["frame_auc"].value <= 1
    assert "normal" in result.tables()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    video = listed_videos / "v9.mp4"
    before = [each.score(video).scores.tolist() for each in (detector, normal)]
    monkeypatch.chdir(elsewhere)
    again = [ap.load_detector(f"../runs/{name}", device="cpu") for name in ("detector", "normal")]
    assert [each.score(video).scores.tolist() for each in again] == before
    (tmp_path / "runs").rename(tmp_path / "elsewhere" / "runs")  # a tree that is moved stays whole
    assert ap.load_detector("runs/detector", device="cpu").score(video).scores.tolist() == before[0]


def test_a_wrong_setting_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ap.UserError, match="does not exist"):
        ap.pretrain({"catalogue.root": "nowhere", "output": "runs/pretrain"})
    assert not list(tmp_path.iterdir())
