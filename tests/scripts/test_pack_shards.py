"""The command, and what others read of what it wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.catalogues import open_catalogue
from pretrain.data.remote.settings import FOLDER
from pretrain.data.remote.state import forget
from pretrain.data.video import read_frames
from scripts.check_videos import main as check_videos
from scripts.pack_shards import main
from tests.pretrain.encoding import encode_folder
from tests.stores import BUCKET, s3_server


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode_folder(tmp_path_factory.mktemp("videos"), 3, num_frames=20)


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv(FOLDER, str(tmp_path / "copies"))
    forget()
    with s3_server(monkeypatch) as system:
        yield system


def run(*arguments: object, command: Any = main) -> int:
    with pytest.raises(SystemExit) as caught:
        command([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


def test_it_says_what_it_wrote_and_how_to_use_it(
    videos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path / "copies"))
    out = tmp_path / "shards"
    assert run("--catalogue.root", videos, "--out", out, "--shard-mb", "0.01") == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == f"3 videos in 2 shard(s), 0.0 MB, in {out}: 2 written now"
    assert lines[1] == f"to use them: --catalogue.kind shards --catalogue.root {out}"
    quarantine = tmp_path / "quarantine.txt"
    asked = ("--catalogue.kind", "shards", "--catalogue.root", out, "--out", quarantine, "--workers", 1)
    assert run(*asked, command=check_videos) == 0
    (videos / "bad.mp4").write_bytes(b"x")
    try:
        assert run("--catalogue.root", videos, "--out", out, "--shard-mb", "0.01") == 1
        assert "1 of 4 videos left out:" in capfd.readouterr().out
    finally:
        (videos / "bad.mp4").unlink()


def test_shards_go_to_a_store_and_are_gone_on_with_there(
    videos: Path, tmp_path: Path, s3: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    out = f"s3://{BUCKET}/shards"
    assert run("--catalogue.root", videos, "--out", out, "--shard-mb", "0.01") == 0
    assert "written now" in capfd.readouterr().out
    assert run("--catalogue.root", videos, "--out", out, "--shard-mb", "0.01") == 0
    assert ": 0 written now" in capfd.readouterr().out
    found = open_catalogue(CatalogueConfig(kind="shards", root=Path(out)))
    assert [video.name for video in found] == ["clip0", "clip1", "clip2"]
    for video in found:
        own = read_frames(videos / f"{video.name}.mp4", [0, 9])
        assert (read_frames(video.path, [0, 9]) == own).all()


def test_mistakes_are_one_line_and_status_2(
    videos: Path, tmp_path: Path, s3: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("--catalogue.root", "s3://nobucket/videos", "--out", tmp_path / "x") == 2
    assert capfd.readouterr().err.strip() == (
        "error: s3://nobucket/videos: there is no such object, or no such bucket; check the address"
    )
    assert run("--catalogue.root", videos, "--out", "s3://nobucket/videos") == 2
    assert "s3://nobucket/videos" in capfd.readouterr().err
    assert run("--catalogue.root", videos, "--out", tmp_path / "x", "--shard-mb", "0") == 2
    assert "shard_mb is 0; it must lie in" in capfd.readouterr().err
    frames = tmp_path / "frames"
    frames.mkdir()
    (frames / "1.jpg").touch()
    assert run("--catalogue.root", frames, "--out", tmp_path / "x") == 2
    assert "1 of 1 videos are folders of images ('frames', ...), and a shard holds files" in capfd.readouterr().err
