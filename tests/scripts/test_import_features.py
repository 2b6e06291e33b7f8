from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from downstream.features.feature_spec import FeatureSpec
from downstream.features.set_writer import FeatureWriter
from downstream.features.store import FeatureSet
from scripts.import_features import main


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Two videos of ten crops, crops first."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name, length in (("Abuse001_x264_i3d", 7), ("Normal_Videos_003_x264_i3d", 10)):
        np.save(folder / f"{name}.npy", np.random.default_rng(length).normal(size=(10, length, 6)).astype(np.float32))
    return folder


def test_import_describe_export_import(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ("--encoder", "i3d_rgb", "--dtype", "float32")
    assert run(files, "--out", tmp_path / "set", "--strip", "_i3d", *common) == 0
    said = capsys.readouterr().out
    assert "axes: the crop axis is the first: 10 in all 2 files, so (crops,snippets,dim)" in said
    assert "crops: 10, in this order: centre, top_left" in said
    assert "snippets: 16 frames each (the default)" in said

    assert run("--describe", tmp_path / "set") == 0
    said = capsys.readouterr().out
    assert "i3d_rgb, weights unknown" in said
    assert "17, 7 to 10 a video" in said
    assert "16 frames (2 videos)" in said
    assert f"{17 * 10 * 6 * 4} (0.0 MB)" in said

    assert run(tmp_path / "set", "--export", "crop_files", "--out", tmp_path / "peers") == 0
    assert len(list((tmp_path / "peers").glob("*.npy"))) == 20
    capsys.readouterr()
    assert run(tmp_path / "peers" / "features.list", "--out", tmp_path / "again", *common) == 0
    assert "axes: one file a crop" in capsys.readouterr().out
    first, again = FeatureSet.open(tmp_path / "set"), FeatureSet.open(tmp_path / "again")
    assert list(again.videos) == list(first.videos) == ["Abuse001_x264", "Normal_Videos_003_x264"]
    for name in first.videos:
        assert np.array_equal(first.read(name), again.read(name))


def test_frames_from_a_catalogue_and_order_by_label(files: Path, tmp_path: Path) -> None:
    entries = {
        "Abuse001_x264": {"path": "a.mp4", "label": 1, "num_frames": 120, "fps": 30},
        "Normal_Videos_003_x264": {"path": "b.mp4", "label": 0, "num_frames": 165, "fps": 30},
    }
    truth = {"format": "anomaly-pretext/ground-truth/1", "videos": entries}
    (tmp_path / "videos.json").write_text(json.dumps(truth))
    catalogue = ("--catalogue.kind", "json", "--catalogue.root", tmp_path)
    catalogue += ("--catalogue.annotations", tmp_path / "videos.json", "--catalogue.no-check-files")
    assert run(files, "--out", tmp_path / "set", "--strip", "_i3d", "--encoder", "i3d", *catalogue) == 0
    stored = FeatureSet.open(tmp_path / "set").videos.values()
    assert [(entry.frames, entry.fps) for entry in stored] == [(120, 30.0), (165, 30.0)]
    export = (tmp_path / "set", "--export", "snippets_crops_dim", "--order", "normal_first", "--out", tmp_path / "out")
    assert run(*export, *catalogue) == 0
    assert (tmp_path / "out" / "features.list").read_text().startswith("Normal_Videos_003_x264.npy\n")


def test_user_errors_leave_with_2_and_say_the_mend(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*arguments: object) -> str:
        assert run(*arguments) == 2
        return capsys.readouterr().err

    assert "--out is missing" in said(files)
    assert "say what made these features" in said(files, "--out", tmp_path / "set")
    assert "nothing to read" in said("--out", tmp_path / "set")
    assert "--catalogue.root is missing" in said(
        files, "--out", tmp_path / "set", "--encoder", "x", "--catalogue.kind", "csv"
    )
    np.save(files / "bad.npy", np.full((10, 4, 6), np.nan))
    text = said(files, "--out", tmp_path / "set", "--encoder", "x")
    assert text.startswith("error: 1 problem(s) in 3 feature file(s), nothing was written")
    assert "bad.npy': 4 of 4 snippets" in text
    assert not (tmp_path / "set").exists()
    assert "is no feature set" in said("--describe", files)
    np.save(files / "bad.npy", np.zeros((7, 10, 6)))
    assert "Say --axes snippets,crops,dim or" in said(files, "--out", tmp_path / "set", "--encoder", "x")
    for path in files.glob("*.npy"):
        path.write_bytes(b"")
    assert "the file is empty" in said(files, "--out", tmp_path / "set", "--encoder", "x")


def test_names_that_end_like_crops_are_asked_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("cam__3", "yard"):
        np.save(tmp_path / f"{name}.npy", np.ones((2, 6), np.float32))
    common = (tmp_path, "--out", tmp_path / "set", "--encoder", "x")
    assert run(*common) == 2
    assert "say --crop-files no if '__N' is part of their names" in capsys.readouterr().err
    assert run(*common, "--crop-files", "no") == 0
    assert list(FeatureSet.open(tmp_path / "set").videos) == ["cam__3", "yard"]


def test_cells_are_described_and_not_exported_nor_mixed_with_files(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = FeatureSpec(encoder="small3d", weights_sha256=None, dim=6, grid=(2, 5), stage="layers.2")
    writer = FeatureWriter(tmp_path / "cells", spec)
    for name, size in (("a", (320, 240)), ("b", (320, 240)), ("c", (640, 480))):
        writer.add(name, np.ones((3, 10, 6)), size=size, seen=(0.0, 13.4, size[0], size[1] - 13.4))
    writer.finish()
    assert run("--describe", tmp_path / "cells") == 0
    said = capsys.readouterr().out
    assert "numbers       6 a snippet and cell, float16" in said
    assert "cells         2 rows x 5 columns of the map of layers.2" in said
    assert "part seen     x 0 to 320, y 13 to 227 of 320x240 pixels (2 videos) and 1 other parts or sizes" in said
    assert f"{9 * 10 * 6 * 2} (0.0 MB)" in said
    for layout in ("snippets_crops_dim", "snippets_dim", "crop_files"):
        assert run(tmp_path / "cells", "--export", layout, "--out", tmp_path / "peers") == 2
        said = capsys.readouterr().err
        assert "holds features of 2x5 cells; the layouts of other code bases hold crops" in said
        assert "Extract a set without --grid and export that one" in said
    assert not (tmp_path / "peers").exists()
    assert run(files, "--out", tmp_path / "cells", "--encoder", "small3d") == 2
    assert "grid: (2, 5), None" in capsys.readouterr().err
