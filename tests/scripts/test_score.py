"""Features through trained detectors without videos: the scores of fine-tuning and evaluation, from sets and files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from downstream.detection.score_command import ScoreConfig, write
from downstream.features.feature_spec import FeatureSpec
from downstream.features.set_writer import FeatureWriter
from downstream.features.store import FeatureSet
from downstream.scores.ensemble import ensemble
from downstream.scores.score_file import ScoreFile, read_scores
from downstream.scores.video_scores import make_scores
from scripts import evaluate, finetune
from scripts.score import main
from tests.downstream.simulated import CELLS_SPEC, make_features

IMPORTED = FeatureSpec(encoder="i3d_rgb", weights_sha256=None, dim=8, crops=("centre",))
SMALL = ["--optim.steps", "20", "--optim.batch-size", "8", "--detector.width", "16", "--detector.hidden", "8"]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)


def trained(world: Path, *flags: str) -> Path:
    lists = ["--catalogue.kind", "json", "--catalogue.root", str(world)]
    sets = ["--features.sets", str(world / "features"), "--output", str(world / "run"), "--device", "cpu"]
    with pytest.raises(SystemExit) as left:
        finetune.main([*lists, *sets, *SMALL, "--no-plots", "--evaluation.resamples", "20", *flags])
    assert not left.value.code
    return world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Imported features in a set and, of the test videos, in files as numpy saves them; two detectors."""
    world = make_features(tmp_path_factory.mktemp("world"), spec=IMPORTED)
    features = FeatureSet.open(world / "features")
    (world / "files").mkdir()
    for number in range(24, 36):
        np.savez(world / "files" / f"v{number:03d}_i3d.npz", features.read(f"v{number:03d}"))
    return trained(world, "--seeds", "0", "1")


def close(found: list, wanted: list) -> bool:
    by_name = {video.name: video for video in found}
    return all(
        np.array_equal(by_name[video.name].edges, video.edges)
        and np.allclose(by_name[video.name].scores, video.scores, rtol=0, atol=1e-6)
        for video in wanted
    )


def test_files_and_sets_have_the_scores_that_fine_tuning_gave(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = [read_scores(world / "run" / f"seed-{seed}" / "test_scores.json") for seed in range(2)]
    files = ["--encoder", "i3d_rgb", "--strip", "_i3d", "--axes", "snippets,crops,dim"]
    assert run(world / "run", world / "files", "--out", tmp_path / "a", *files) == 0
    assert "12 video(s), 2 detector(s)" in capsys.readouterr().out
    assert run(world / "run", world / "features", "--out", tmp_path / "b", "--frames") == 0
    assert "note: 24 of these videos the detector was trained on" in capsys.readouterr().out
    for out in (tmp_path / "a", tmp_path / "b"):
        for seed in range(2):
            assert close(read_scores(out / f"seed-{seed}" / "test_scores.json").videos, own[seed].videos)
        together = read_scores(out / "scores.json")
        assert close(together.videos, ensemble(own).videos)
        assert together.meta["supervision"] == "videos"
        assert close(read_scores(out / "scores.csv").videos, together.videos)
    with open(tmp_path / "b" / "frame_scores.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["name"] == "v030"]
    features = FeatureSet.open(world / "features").videos["v030"]
    (scored,) = (video for video in together.videos if video.name == "v030")
    assert [int(row["frame"]) for row in rows] == list(range(features.frames or 0))
    assert [float(row["score"]) for row in rows[:17]] == [scored.scores[0]] * 16 + [scored.scores[1]]
    assert float(rows[-1]["score"]) == scored.scores[-1]


def test_evaluation_takes_the_folder_like_the_run(world: Path, tmp_path: Path) -> None:
    files = ["--encoder", "i3d_rgb", "--strip", "_i3d", "--axes", "snippets,crops,dim"]
    assert run(world / "run", world / "files", "--out", tmp_path / "a", *files) == 0
    lists = ["--catalogue.kind", "json", "--catalogue.root", str(world), "--no-plots", "--resamples", "20"]
    for scored in (world / "run", tmp_path / "a"):
        with pytest.raises(SystemExit):
            evaluate.main([str(scored), "--out", str(tmp_path / scored.name), *lists])
    first, second = (
        json.loads((tmp_path / name / "evaluation.json").read_text())["methods"][0]["metrics"] for name in ("run", "a")
    )
    for name in ("frame_auc", "frame_ap", "video_auc"):
        assert first[name]["per_seed"] == pytest.approx(second[name]["per_seed"], abs=1e-6)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run(*arguments) == 2
    return capsys.readouterr().err


def test_other_features_are_refused_and_a_name_alone_can_be_vouched_for(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [world / "run" / "seed-0", world / "files", "--strip", "_i3d", "--axes", "snippets,crops,dim"]
    out = ["--out", tmp_path / "out"]
    said = refused(capsys, *files, *out)
    assert "--encoder is missing: say what made these files; the detector was trained on 'i3d_rgb'" in said
    said = refused(capsys, *files, *out, "--encoder", "c3d")
    assert "encoder: 'i3d_rgb', 'c3d' (detector, features)" in said
    assert "--same-encoder" in said
    said = refused(capsys, *files, *out, "--encoder", "c3d", "--snippet-frames", "8", "--same-encoder")
    assert "snippet_frames: 16, 8 (detector, features)" in said
    assert not (tmp_path / "out" / "scores.json").exists()
    assert run(*files, *out, "--encoder", "c3d", "--same-encoder") == 0
    said = capsys.readouterr().out
    assert "taken on trust (--same-encoder):\n  - encoder: 'i3d_rgb', 'c3d' (detector, features)" in said
    assert "seed-" not in said

    wide = FeatureWriter(tmp_path / "wide", FeatureSpec(encoder="i3d_rgb", weights_sha256=None, dim=9), "float32")
    wide.add("a", np.zeros((3, 1, 9), np.float32))
    wide.finish()
    said = refused(capsys, world / "run", tmp_path / "wide", *out)
    assert "dim: 8, 9 (detector, features)" in said
    assert "--same-encoder" not in said
    assert "there is no file or folder 'nothing'" in refused(capsys, world / "run", "nothing", *out)
    assert "others of what was given are not" in refused(capsys, *files[:1], world / "features", world / "files", *out)


def test_a_frame_has_the_score_of_its_snippet_as_far_as_frames_are_known(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = FeatureWriter(tmp_path / "plain", IMPORTED, "float32")
    for name, frames in (("v024", None), ("known", 90)):
        plain.add(name, np.ones((3, 1, 8), np.float32), frames=frames)
    plain.finish()
    assert run(world / "run", tmp_path / "plain", "--frames", "--out", tmp_path / "out") == 0
    assert "frame_scores.csv: 2 of 2 videos" in capsys.readouterr().out
    lines = (tmp_path / "out" / "frame_scores.csv").read_text().splitlines()
    assert sum(line.startswith("v024,") for line in lines) == 48
    assert sum(line.startswith("known,") for line in lines) == 90

    config = ScoreConfig(detector=world / "run", features=(world,), out=tmp_path / "lost", frames=True)
    lost = ScoreFile([make_scores("lost", [0.1, 0.2], [0, 1, 2])], {})
    said = write(config, [lost], [{"sha256": "x"}], {}, [1.0])
    assert said[-2] == "frame_scores.csv: 0 of 1 videos"
    assert "frames are not known of 1 video(s), e.g. 'lost': start and end count snippets there" in said[-1]
    assert read_scores(tmp_path / "lost" / "scores.json").meta["unplaced"] == ["lost"]


def test_detectors_of_cells_score_sets_of_cells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = trained(make_features(tmp_path / "cells", spec=CELLS_SPEC))
    assert run(world / "run", world / "features", "--out", tmp_path / "out") == 0
    own = read_scores(world / "run" / "seed-0" / "test_scores.json")
    assert close(read_scores(tmp_path / "out" / "scores.json").videos, own.videos)
    (tmp_path / "files").mkdir()
    np.save(tmp_path / "files" / "a.npy", np.ones((3, 70), np.float32))
    said = refused(capsys, world / "run", tmp_path / "files", "--encoder", "simulated", "--out", tmp_path / "none")
    assert "cells: (2, 3), none: files hold crops" in said
