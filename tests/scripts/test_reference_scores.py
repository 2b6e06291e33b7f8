"""References of finished runs, by the command and by fine-tuning itself, as scripts/evaluate.py finds them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from downstream.references.motion import motion_energy
from downstream.references.of_features import MEANING
from downstream.runs.run_folder import RunFolder
from scripts import evaluate
from scripts.reference_scores import main


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return int(left.value.code or 0)


@pytest.fixture
def copy(trained_world: Path, tmp_path: Path) -> Path:
    """A run on features of whole pictures that may be changed."""
    return Path(shutil.copytree(trained_world / "runs" / "whole", tmp_path / "run"))


@pytest.mark.parametrize("kind", ["whole", "cells"])
def test_fine_tuning_writes_what_the_command_writes(trained_world: Path, tmp_path: Path, kind: str) -> None:
    folder = Path(shutil.copytree(trained_world / "runs" / kind, tmp_path / "run"))
    made = {file.name: file.read_text() for file in (folder / "references").iterdir()}
    assert sorted(made) == sorted(f"{name}.json" for name in MEANING)
    shutil.rmtree(folder / "references")
    assert run(str(folder)) == 0
    assert {file.name: file.read_text() for file in (folder / "references").iterdir()} == made
    summary = json.loads((folder / "summary.json").read_text())
    assert [best["metric"] for best in summary["best_reference"]] == ["frame_auc", "per_video_auc"]
    document = json.loads((folder / "evaluation" / "evaluation.json").read_text())
    assert [method["method"] for method in document["references"]] == sorted(name.replace("_", " ") for name in MEANING)


def test_motion_is_read_from_the_videos_on_the_detectors_snippets(
    copy: Path, trained_world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(str(copy), "--motion", "--border-crop", "0.1", "0", "0", "0") == 0
    out = capsys.readouterr().out
    assert (
        "holds for 2 test videos: clip motion, deviation, feature change, motion energy, normal distance, position"
        in out
    )
    assert f"next: python scripts/evaluate.py {copy}" in out
    file, scored = RunFolder(copy).read_references()["motion_energy"], RunFolder(copy).test_scores()["0"]
    for video, own in zip(file.videos, scored.videos, strict=True):
        assert np.array_equal(video.edges, own.edges)
        path = str(trained_world / "videos" / f"{video.name}.mp4")
        assert np.array_equal(video.scores, motion_energy(path, own.edges, (0.1, 0, 0, 0)))
    assert file.meta["border_crop"] == [0.1, 0, 0, 0]
    with pytest.raises(SystemExit) as left:
        evaluate.main([str(copy), "--no-plots", "--resamples", "20"])
    assert not left.value.code
    out = capsys.readouterr().out
    assert "motion energy (reference)" in out
    assert "run, frame AUC: " in out
    assert "note: the reference" not in out


def test_a_video_that_cannot_be_read_is_named_and_left_out(
    copy: Path, trained_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = Path(shutil.copytree(trained_world / "videos", tmp_path / "videos"))
    (videos / "v8.mp4").write_bytes(b"no video")
    catalogue = ["--catalogue.kind", "csv", "--catalogue.annotations", str(trained_world / "list.csv")]
    assert run(str(copy), "--motion", *catalogue, "--catalogue.root", str(videos)) == 1
    assert "1 video(s) could not be read:\n  - " in (out := capsys.readouterr().out)
    assert "v8.mp4: not a video" in out
    file = RunFolder(copy).read_references()["motion_energy"]
    assert [video.name for video in file.videos] == ["v9"]
    assert list(file.unscored) == ["v8"]
    with pytest.raises(SystemExit):
        evaluate.main([str(copy), "--no-plots", "--resamples", "0"])
    assert "the reference motion energy is left out: it has no score of 1 of 2 videos" in capsys.readouterr().out
    (videos / "v9.mp4").write_bytes(b"no video")
    assert run(str(copy), "--motion", *catalogue, "--catalogue.root", str(videos)) == 2
    assert "motion energy: none of the 2 test videos can be read" in capsys.readouterr().err


def test_a_run_trained_from_videos_has_position_alone_unless_features_are_given(
    copy: Path, trained_world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = RunFolder(copy).read_references()
    shutil.rmtree(copy / "references")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"features.sets": []}))
    assert run(str(copy)) == 0
    out = capsys.readouterr().out
    assert "what needs stored features is made with --features" in out
    assert "motion energy needs the videos: --motion" in out
    found = RunFolder(copy).read_references()
    assert list(found) == ["position"]
    assert np.array_equal(found["position"].videos[1].scores, made["position"].videos[1].scores)
    assert run(str(copy), "--features", str(trained_world / "features" / "whole")) == 0
    found = RunFolder(copy).read_references()
    assert np.array_equal(found["deviation"].videos[1].scores, made["deviation"].videos[1].scores)


def test_what_does_not_fit_is_refused(copy: Path, trained_world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(copy), "--decoders", "0") == 2
    assert "decoders is 0; it must be at least 1" in capsys.readouterr().err
    assert run(str(copy), "--border-crop", "0.5", "0", "0", "0") == 2
    assert "border_crop is (0.5, 0.0, 0.0, 0.0)" in capsys.readouterr().err
    assert run(str(trained_world / "features")) == 2
    assert "it is no run folder of scripts/finetune.py" in capsys.readouterr().err
    short = copy / "short.csv"
    short.write_text("path,label,split,spans\nv8.mp4,0,test,\n")
    catalogue = ["--catalogue.kind", "csv", "--catalogue.annotations", str(short)]
    assert run(str(copy), *catalogue, "--catalogue.root", str(trained_world / "videos")) == 2
    assert "1 of the 2 test videos of the run are not in " in (told := capsys.readouterr().err)
    assert told.rstrip().endswith("- v9")
