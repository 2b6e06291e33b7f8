"""Cameras that a label-free detector knows: the same scores from evaluation, detect, a stream's file and Python."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import anomaly_pretext as ap
from downstream.detection.model import Model, score_files
from downstream.detection.open_model import known_cameras, of_camera, open_model, with_camera
from downstream.detection.package import make_package
from downstream.detection.score_cache import ScoreCache
from downstream.features.config import SnippetSettings
from downstream.features.encoders import EncoderConfig
from downstream.features.extract import ExtractConfig, extract
from downstream.normality.command import run_fit
from downstream.normality.config import FitNormalConfig
from downstream.runs.run_folder import RunFolder
from downstream.training.config import FeaturesConfig
from pretrain.data.catalogue import CatalogueConfig, Video
from pretrain.errors import UserError
from scripts import detect, score
from tests.downstream.detection.world import LENGTHS

KINDS: dict[str, dict[str, str]] = {"whole": {}, "cells": {"grid": "map"}}
TOLERANCE = 1e-3
"""Clips are encoded in other batches, and features are stored as float16: a last digit may round otherwise."""


def catalogue_of(world: Path) -> CatalogueConfig:
    """All videos but two are of the gate; v9 is of a camera that nothing was fitted to."""
    rows = ["path,label,split,spans,group"]
    for number in range(len(LENGTHS)):
        split, group = ("test" if number >= 8 else "train"), {7: "yard", 9: "new"}.get(number, "gate")
        rows.append(f"v{number}.mp4,{number % 2},{split},{'20:60' if number == 9 else ''},{group}")
    file = world / "cameras.csv"
    file.write_text("\n".join(rows))
    return CatalogueConfig(kind="csv", root=world / "videos", annotations=file)


@pytest.fixture(scope="module", params=KINDS)
def fitted(request: pytest.FixtureRequest, world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(str(request.param))
    out, features = folder / "run", folder / "features"
    encoder = EncoderConfig(backbone=str(world / "backbone"), **KINDS[request.param])  # type: ignore[arg-type]
    extraction = ExtractConfig(
        out=features,
        encoder=encoder,
        catalogue=catalogue_of(world),
        snippets=SnippetSettings(snippet_frames=8),
        device="cpu",
        decoders=1,
    )
    assert extract(extraction) == 0
    config = FitNormalConfig(
        output=out,
        footage="all",
        device="cpu",
        plots=False,
        catalogue=catalogue_of(world),
        features=FeaturesConfig(sets=(features,)),
    )
    assert run_fit(config) == 0
    return out


def scored(model: Model, video: Path) -> np.ndarray:
    (found,) = score_files(model, [(video.stem, str(video))])
    assert found.scores is not None
    return found.scores.scores


def test_all_ways_to_a_score_agree(fitted: Path, world: Path, tmp_path: Path) -> None:
    kept = {video.name: video.scores for video in RunFolder(fitted).seeds()[0].read_scores("test").videos}
    plain, gate = open_model(fitted), with_camera(open_model(fitted), "gate")
    videos = {name: world / "videos" / f"{name}.mp4" for name in ("v8", "v9")}
    np.testing.assert_allclose(scored(gate, videos["v8"]), kept["v8"], atol=TOLERANCE)
    np.testing.assert_allclose(scored(plain, videos["v9"]), kept["v9"], atol=TOLERANCE)
    assert (np.abs(scored(plain, videos["v8"]) - kept["v8"]) / kept["v8"]).max() > 0.1
    assert "by what is usual of camera 'gate'" in gate.describe()
    by_python = ap.load_detector(fitted, camera="gate").score(videos["v8"])
    np.testing.assert_allclose(by_python.scores, kept["v8"], atol=TOLERANCE)
    with pytest.raises(SystemExit) as left:
        score.main(
            [
                str(fitted),
                str(fitted.parent / "features"),
                "--out",
                str(tmp_path / "scored"),
                "--catalogue.kind",
                "csv",
                "--catalogue.root",
                str(world / "videos"),
                "--catalogue.annotations",
                str(world / "cameras.csv"),
            ]
        )
    assert not left.value.code
    again = {
        video["name"]: video["scores"] for video in json.loads((tmp_path / "scored/scores.json").read_text())["videos"]
    }
    for name, own in kept.items():
        np.testing.assert_allclose(again[name], own, atol=1e-9)  # the same features, to the bit


def test_the_command_takes_a_camera_and_names_those_there_are(
    fitted: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(camera: str, out: Path) -> int:
        with pytest.raises(SystemExit) as left:
            detect.main(
                [
                    str(world / "videos" / "v8.mp4"),
                    "--detector",
                    str(fitted),
                    "--camera",
                    camera,
                    "--out",
                    str(out),
                    "--films",
                    "0",
                    "--no-report",
                ]
            )
        return int(left.value.code or 0)

    assert run("gate", tmp_path / "found") == 0
    assert "by what is usual of camera 'gate'" in capsys.readouterr().out
    assert run("gaet", tmp_path / "none") == 2
    told = capsys.readouterr().err
    assert (
        "does not know a camera 'gaet'; did you mean 'gate'?; it knows 1: gate." in told or "it knows 1: gate" in told
    )
    assert not (tmp_path / "none").exists()
    with pytest.raises(UserError, match="does not know a camera 'gate'; it knows none"):
        with_camera(open_model(world / "runs" / "whole"), "gate")


def test_a_package_knows_them_too(fitted: Path, world: Path, tmp_path: Path) -> None:
    make_package([fitted], tmp_path / "package")
    assert "- cameras it knows of their own (`--camera NAME`), 1: gate" in (tmp_path / "package/README.md").read_text()
    packed, model = (with_camera(open_model(path), "gate") for path in (tmp_path / "package", fitted))
    video = world / "videos" / "v8.mp4"
    assert np.array_equal(scored(packed, video), scored(model, video))


def test_kept_scores_are_of_one_camera(fitted: Path, world: Path, tmp_path: Path) -> None:
    plain, gate = open_model(fitted), with_camera(open_model(fitted), "gate")
    path = world / "videos" / "v8.mp4"
    (found,) = score_files(gate, [("v8", str(path))])
    video = Video("v8", str(path))
    ScoreCache(tmp_path, gate).store(found, video)
    assert ScoreCache(tmp_path, gate).load(video) is not None
    assert ScoreCache(tmp_path, plain).load(video) is None


def test_a_camera_with_one_video_is_not_known(fitted: Path) -> None:
    model = open_model(fitted)
    assert known_cameras(model) == ["gate"]  # of the yard there is one video
    assert of_camera(model, "yard") is model
    assert dataclasses.asdict(of_camera(model, "gate").rule) == dataclasses.asdict(model.rule)
