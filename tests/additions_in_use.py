"""Uses what the sample patches add, as a reader would: from the command line's settings to what comes out.

Not collected by itself: `tests/test_additions.py` runs it in a copy of the tree that has all of them.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from downstream.detection.live.live_output import LiveOutput
from downstream.detection.live.scorer import LiveScore
from downstream.detection.output_files import write_output_files
from downstream.detection.records import VideoRecord
from downstream.features.encoders import EncoderConfig, open_encoder
from downstream.training.config import FinetuneConfig
from downstream.training.finetune import finetune
from pretrain.backbones import build_backbone, load_backbone, save_backbone
from pretrain.cli import parse
from pretrain.config import PretrainConfig
from pretrain.data.catalogues import open_catalogue, open_training_catalogue
from pretrain.tracking import read_log
from pretrain.train import pretrain
from tests.downstream.detection.made import FACTS, detection, stream_event
from tests.downstream.toy_videos import make_toy_videos
from tests.pretrain.data.catalogues.conftest import MAKE
from tests.pretrain.encoding import encode_folder


def pretrain_config(*flags: str) -> PretrainConfig:
    return parse(PretrainConfig, flags, "pretrain.py")


def test_use_stutter(tmp_path: Path) -> None:
    """Drawn, trained and validated beside the four that are on by default."""
    flags = [
        *("--catalogue.root", str(encode_folder(tmp_path / "clips"))),
        *("--output", str(tmp_path / "run"), "--device", "cpu", "--data.workers", "0", "--validation-windows", "2"),
        *("--backbone.height", "32", "--backbone.width", "48", "--tasks.stutter.weight", "0.5"),
        *("--optim.steps", "3", "--optim.batch-size", "4", "--optim.warmup-steps", "1", "--log-every", "1"),
    ]
    assert pretrain(pretrain_config(*flags)) == 0
    steps = [line for line in read_log(tmp_path / "run/log.jsonl") if "train/loss" in line]
    assert len(steps) == 3
    for step in steps:
        four = sum(step[f"train/{name}/loss"] for name in ("temporal_order", "speed", "arrow_of_time", "abrupt_change"))
        assert step["train/loss"] == pytest.approx(four + 0.5 * step["train/stutter/loss"], rel=1e-4)
    validated = json.loads((tmp_path / "run/summary.json").read_text(encoding="utf-8"))["pretext"]["stutter"]
    assert validated["chance"] == 0.5
    assert validated["ci_low"] <= validated["accuracy"] <= validated["ci_high"]


def test_use_quiet_normals(tmp_path: Path) -> None:
    """Its flag is there, its value in the log."""
    flags = [
        *("--features.sets", str(tmp_path / "toy"), *make_toy_videos(tmp_path)),
        *("--output", str(tmp_path / "run"), "--device", "cpu"),
        *("--objective.quiet-normals.weight", "0.5", "--optim.steps", "4", "--optim.batch-size", "8"),
        *("--bags.segments", "4", "--log-every", "1", "--evaluation.resamples", "0", "--no-plots"),
    ]
    assert finetune(parse(FinetuneConfig, flags, "finetune.py")) == 0
    steps = [line for line in read_log(tmp_path / "run/seed-0/log.jsonl") if "train/loss" in line]
    assert len(steps) == 4
    for step in steps:
        assert step["train/quiet_normals"] > 0
        assert step["train/loss"] == pytest.approx(step["train/base"] + 0.5 * step["train/quiet_normals"], rel=1e-4)


def test_use_crossing(tmp_path: Path) -> None:
    """Opened by the name of its kind, and pretraining gets its training videos alone."""
    MAKE["crossing"](tmp_path)
    config = pretrain_config("--catalogue.kind", "crossing", "--catalogue.root", str(tmp_path)).catalogue
    assert {video.name: video.split for video in open_catalogue(config)} == {"a": "train", "b": "test", "c": "test"}
    assert [video.name for video in open_training_catalogue(config)] == ["a"]


def test_use_events_csv(tmp_path: Path) -> None:
    """Written of files and of a stream, without a word to either."""
    names = write_output_files(tmp_path / "files", FACTS, [detection("x", [0.1, 0.7], 40)], [])
    with LiveOutput(tmp_path / "stream", "cam", FACTS) as output:
        output.add_score(LiveScore(0, 16, 0.9, None, None, True))
        output.add_event(stream_event())
        ended = tuple(output.ended_events())
        seen = {"fps": 10.0, "num_frames": 45, "num_snippets": 1, "highest_score": 0.9, "events": ended}
        output.finish(VideoRecord(name="cam", path="rtsp://***@cam", **seen))
    assert "events.csv" in names
    with open(tmp_path / "files/events.csv", newline="", encoding="utf-8") as file:
        assert [(row["name"], row["start_seconds"]) for row in csv.DictReader(file)] == [("x", "0.64")]
    with open(tmp_path / "stream/events.csv", newline="", encoding="utf-8") as file:
        assert [(row["name"], row["start_seconds"]) for row in csv.DictReader(file)] == [("cam", "1.6")]


def test_use_factored3d(tmp_path: Path) -> None:
    """Built by its name, saved, loaded; feature extraction knows it too."""
    sizes = {"clip_frames": 4, "height": 32, "width": 48}
    flags = [part for key, value in sizes.items() for part in (f"--backbone.{key.replace('_', '-')}", str(value))]
    backbone = build_backbone(pretrain_config("--backbone.name", "factored3d", *flags).backbone)
    save_backbone(backbone, tmp_path, {})
    loaded, card = load_backbone(tmp_path)
    assert card["architecture"] == "factored3d"
    clips = torch.randn(2, 3, 4, 32, 48)
    with torch.no_grad():
        assert torch.equal(loaded(clips), backbone.eval()(clips))
    for source in ("factored3d", str(tmp_path)):
        encoder = open_encoder(EncoderConfig(backbone=source, motion=False))
        assert (encoder.name, encoder.dim) == ("factored3d", backbone.spec.feature_dim)
