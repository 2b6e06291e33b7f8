from __future__ import annotations

import json
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from pretrain.data.check import read_quarantine
from scripts.check_videos import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sound videos, one of them short, and a file that is none."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name, frames in (("long", 30), ("short", 10)):
        with av.open(str(folder / f"{name}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
            for number in range(frames):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * number, np.uint8))))
            container.mux(stream.encode(None))
    (folder / "text.mp4").write_text("hello\n" * 50)
    return folder


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    return int(left.value.code or 0)


def test_table_list_and_status(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, cache = tmp_path / "quarantine.txt", tmp_path / "cache"
    common = ("--catalogue.root", str(folder), "--out", str(out), "--cache", str(cache), "--workers", "2")
    assert run(*common, "--min-frames", "20") == 1
    said = capsys.readouterr().out
    assert "videos checked        3" in said
    assert "2 of 3 videos quarantined" in said
    assert "text: unreadable: not a video" in said
    quarantine = read_quarantine(out)
    assert set(quarantine) == {"short", "text"}
    assert quarantine["short"] == "too short: 10 frames, at least 20 are asked for"
    assert len(list((cache / "index").rglob("*.npz"))) == 2

    (folder / "text.mp4").unlink()
    assert run(*common, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["videos"], found["quarantined"], found["kinds"]) == (2, 0, {})
    assert [report["num_frames"] for report in found["reports"]] == [30, 10]
    assert read_quarantine(out) == {}


def test_user_errors_leave_with_2(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--catalogue.root", str(tmp_path / "nowhere")) == 2
    assert "nowhere" in capsys.readouterr().err
    assert run("--catalogue.root", str(folder), "--workers", "0") == 2
    assert "workers is 0; it must be at least 1" in capsys.readouterr().err
    assert run("--catalogue.root", str(folder), "--splits", "test", "--out", str(tmp_path / "q.txt")) == 2
    assert "no video of split 'test' to check" in capsys.readouterr().err


def test_comparing_without_decord(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "decord", None)
    assert run("--catalogue.root", str(folder), "--compare-readers") == 2
    assert "pip install decord" in capsys.readouterr().err


def test_odd_names_are_quarantined_and_do_nothing_to_a_terminal(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = [
        "#1",
        " a ",
        "tab\tb",
        "line\nbreak",
        "latin\udce9",
        "\x1b[31mred",
        "\u202emp4",
        '"q"',
        "cafe\u0301",
        "caf\u00e9",
    ]
    for name in odd:
        (folder / f"{name}.mp4").write_bytes(b"no video" * 20)
    out = tmp_path / "quarantine.txt"
    flags = ["--catalogue.root", str(folder), "--out", str(out), "--workers", "1", "--quick"]
    assert run(*flags) == 1
    said = capsys.readouterr()
    assert set(read_quarantine(out)) == {*odd, "text"}
    assert not set(said.out + said.err) & set("\x1b\u202e\t")
    assert "  line\\nbreak: unreadable: not a video" in said.out
    assert run(*flags, "--json") == 1
    assert {report["name"] for report in json.loads(capsys.readouterr().out)["reports"]} == {
        *odd,
        "text",
        "long",
        "short",
    }
