from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from downstream.features.feature_spec import FeatureSpec
from downstream.features.set_writer import FeatureWriter
from scripts.doctor import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A CSV ground truth without a video, and features of all but one."""
    (tmp_path / "list.csv").write_text(
        "path,label,split,num_frames,spans\n"
        "a.mp4,0,train,64,\nb.mp4,1,train,64,\nc.mp4,1,test,70,3:9 20:40\nd.mp4,0,test,64,\n"
    )
    writer = FeatureWriter(tmp_path / "features", FeatureSpec(encoder="i3d", weights_sha256=None, dim=8))
    rng = np.random.default_rng(0)
    for name in "abc":
        writer.add(name, rng.standard_normal((4, 1, 8)))
    writer.finish()
    return tmp_path


def run(folder: Path, *arguments: str) -> int:
    given = ["--features", str(folder / "features"), "--catalogue.kind", "csv"]
    with pytest.raises(SystemExit) as left:
        main([*given, "--catalogue.annotations", str(folder / "list.csv"), *arguments])
    return int(left.value.code or 0)


def test_findings_on_the_terminal_and_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--json", str(folder / "found.json")) == 1
    assert capsys.readouterr().out == (
        "4 videos: 1 wrong, 1 note(s)\n"
        "wrong: no features (1)\n"
        "  'd': listed, but it has no features\n"
        "  mend: extract them (extract_features), give both one name, or --features.allow-missing\n"
        "note: length (1)\n"
        "  'c': 70 frames annotated, 64 covered by features: tail rule applies\n"
        "  mend: check that list and features are of the same file; snippet frames as at extraction\n"
    )
    found = json.loads((folder / "found.json").read_text())
    assert (found["videos"], found["wrong"], found["notes"]) == (4, 1, 1)
    assert found["findings"][0] == {
        "severity": "wrong",
        "kind": "no features",
        "video": "d",
        "text": "'d': listed, but it has no features",
    }


def test_few_lines_unless_all_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"v{n:03d}.mp4,{n % 2},train,64,\n" for n in range(200))
    (tmp_path / "list.csv").write_text(f"path,label,split,num_frames,spans\n{rows}")
    writer = FeatureWriter(tmp_path / "features", FeatureSpec(encoder="i3d", weights_sha256=None, dim=8))
    writer.add("v000", np.ones((4, 1, 8)))
    writer.finish()
    assert run(tmp_path, "--json", str(tmp_path / "found.json")) == 1
    short = capsys.readouterr().out
    assert "wrong: no features (199)\n  'v001': listed" in short
    assert len(short.splitlines()) < 15
    assert len(json.loads((tmp_path / "found.json").read_text())["findings"]) == 201
    assert run(tmp_path, "--all") == 1
    assert "  'v199': listed, but it has no features\n" in capsys.readouterr().out


def test_notes_alone_are_nothing_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--split", "train") == 0
    assert capsys.readouterr().out == "2 videos: nothing wrong, 0 note(s)\n"
    assert run(folder, "--split", "train", "--top-k", "5") == 0
    assert "2 videos: nothing wrong, 2 note(s)" in capsys.readouterr().out


def test_unusable_input_leaves_with_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--features", str(folder)) == 2
    assert "is no feature set: there is no manifest.json" in capsys.readouterr().err
    assert run(folder, "--top-k", "0") == 2
    assert "top_k is 0; it must be at least 1" in capsys.readouterr().err
    assert run(folder, "--catalogue.annotations", str(folder / "none.csv")) == 2
    assert "none.csv" in capsys.readouterr().err
