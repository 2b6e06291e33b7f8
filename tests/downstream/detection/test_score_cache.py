"""Kept scores: taken for the same file and the same detectors, and for nothing else."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from accelerate import Accelerator

from downstream.detection.model import Model, score_files
from downstream.detection.open_model import open_model
from downstream.detection.package import make_package
from downstream.detection.score_cache import ScoreCache
from downstream.detection.scoring import ScoringSettings, score_all
from downstream.events.calibration_file import Calibration, write_calibration
from downstream.events.rule import AlarmRule
from pretrain.data.catalogue import Video
from pretrain.errors import UserError

KINDS = ("whole", "cells")


@pytest.fixture
def video(world: Path, tmp_path: Path) -> Video:
    path = shutil.copy(world / "videos" / "v8.mp4", tmp_path / "v8.mp4")
    return Video("street/v8", str(path), split="test")


def keep(model: Model, video: Video, folder: Path) -> ScoreCache:
    cache = ScoreCache(folder, model)
    assert cache.load(video) is None
    (scored,) = score_files(model, [(video.name, video.path)])
    cache.store(scored, video)
    return cache


@pytest.mark.parametrize("kind", KINDS)
def test_they_come_back_to_the_bit(world: Path, tmp_path: Path, video: Video, kind: str) -> None:
    model = open_model(world / "runs" / kind)
    cache = keep(model, video, tmp_path / "scored")
    kept = cache.load(video)
    (fresh,) = score_files(model, [(video.name, video.path)])
    assert kept is not None
    assert kept.scores is not None
    assert fresh.scores is not None
    assert np.array_equal(kept.scores.scores, fresh.scores.scores)
    assert (kept.info, kept.name, kept.path) == (fresh.info, fresh.name, fresh.path)
    assert (kept.scores.map is None) == (kind == "whole")


def test_other_detectors_and_another_file_are_scored_anew(world: Path, tmp_path: Path, video: Video) -> None:
    cache = keep(open_model(world / "runs" / "whole"), video, tmp_path / "scored")
    of_one_seed = ScoreCache(tmp_path / "scored", open_model(world / "runs" / "whole" / "seed-0"))
    assert of_one_seed.load(video) is None
    os.utime(video.path, (1, 1))
    assert cache.load(video) is None


def test_the_same_detectors_that_count_otherwise_are_another_model(world: Path, tmp_path: Path, video: Video) -> None:
    """Two detectors and one, as two runs or as three; neither the kept scores nor a calibration are the other's."""
    whole, large = world / "runs" / "whole", world / "runs" / "large" / "seed-0"
    two = make_package([whole, large], tmp_path / "two")
    three = make_package([whole / "seed-0", whole / "seed-1", large], tmp_path / "three")
    assert (two.names, two.weights, three.weights) == (three.names, [1, 1, 2], [1, 1, 1])
    cache = keep(two, video, tmp_path / "scored")
    assert cache.load(video) is not None
    assert ScoreCache(tmp_path / "scored", three).load(video) is None
    rule = AlarmRule(threshold=0.5, release=0.4)
    made = Calibration(
        rule=rule, wanted_per_hour=1, margin=1, events=1, hours=1, videos=1, detector=two.identity, peaks=(0.6,)
    )
    for folder in ("two", "three"):
        write_calibration(tmp_path / folder / "calibration.json", made)
    assert open_model(tmp_path / "two").rule == rule
    with pytest.raises(UserError, match="is of other detectors than those in"):
        open_model(tmp_path / "three")


def test_a_damaged_file_is_scored_anew(world: Path, tmp_path: Path, video: Video) -> None:
    cache = keep(open_model(world / "runs" / "cells"), video, tmp_path / "scored")
    (file,) = (tmp_path / "scored").iterdir()
    file.write_bytes(file.read_bytes()[:50])
    assert cache.load(video) is None


def test_only_what_is_missing_is_scored(
    world: Path, tmp_path: Path, video: Video, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, accelerator = open_model(world / "runs" / "whole"), Accelerator(cpu=True)
    other = Video("v9", str(world / "videos" / "v9.mp4"), split="test")
    folder, settings = tmp_path / "scored", ScoringSettings(device="cpu", decoders=1)
    first = score_all(model, [video], settings, accelerator, folder)
    asked: list[str] = []

    def noted(model: Model, videos: list[tuple[str, str]], **more: object) -> object:
        asked.extend(name for name, _ in videos)
        return score_files(model, videos, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("downstream.detection.scoring.score_files", noted)
    both = score_all(model, [video, other], settings, accelerator, folder)
    assert asked == ["v9"]
    assert [scored.name for scored in both] == ["street/v8", "v9"]
    assert first[0].scores is not None
    assert both[0].scores is not None
    assert np.array_equal(both[0].scores.scores, first[0].scores.scores)
    assert "1 of 2 video(s) were scored before" in capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_that_changed_on_the_disk_are_not_believed(
    world: Path, tmp_path: Path, video: Video, kind: str
) -> None:
    cache = keep(open_model(world / "runs" / kind), video, tmp_path / "scored")
    (file,) = (tmp_path / "scored").iterdir()
    content = file.read_bytes()
    if kind == "whole":
        changed, count = re.subn(rb'("scores": ?\[)[0-9.e-]+', rb"\g<1>0.123", content, count=1)
        assert count == 1
    else:
        changed = content[:-6] + bytes([content[-6] ^ 1]) + content[-5:]
    file.write_bytes(changed)
    assert cache.load(video) is None
