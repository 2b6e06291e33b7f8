"""Packing: the same bytes whoever does it and when, gone on with after a kill, read back as what was packed."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from pretrain.data.catalogue import Box, CatalogueConfig, Video
from pretrain.data.catalogues import open_catalogue
from pretrain.data.proxy import ProxyCache, ProxySettings, build_proxies
from pretrain.data.remote.settings import FOLDER
from pretrain.data.shards.output import Output
from pretrain.data.shards.pack import PackReport, pack, plan_shards, to_pack
from pretrain.data.shards.tar_writer import ShardWriter
from pretrain.data.video import probe, read_frames
from pretrain.errors import UserError
from tests.pretrain.encoding import encode_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode_folder(tmp_path_factory.mktemp("videos"), 4, num_frames=20)


@pytest.fixture(autouse=True)
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path / "copies"))


@pytest.fixture
def videos(folder: Path) -> list[Video]:
    """With all that a catalogue can know."""
    boxes = (Box(5, 8, 8, 72, 48), Box(6, 0, 0, 10, 10, 3))
    one = Video("clip0", f"{folder}/clip0.mp4", 1, "test", "Fall", "camera3", ((5, 9),), boxes, 20, 25.0)
    others = [Video(f"clip{number}", f"{folder}/clip{number}.mp4", 0) for number in (1, 2, 3)]
    return [one, *others]


def packed(
    videos: list[Video], out: Path, shard_bytes: int = 15_000, paths: dict[str, str] | None = None
) -> PackReport:
    files, missing = to_pack(videos, paths or {video.name: video.path for video in videos})
    assert not missing
    return pack(files, Output(str(out)), shard_bytes)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir()) if path.is_file()
    }


def opened(out: Path) -> list[Video]:
    return list(open_catalogue(CatalogueConfig(kind="shards", root=out)))


def test_what_was_packed_is_read_back(videos: list[Video], tmp_path: Path) -> None:
    report = packed(videos, tmp_path / "out")
    assert (report.videos, report.written, report.failures) == (4, report.shards, {})
    assert report.shards > 1
    found = opened(tmp_path / "out")
    assert dataclasses.replace(found[0], path=videos[0].path, measured=None) == videos[0]
    for video, source in zip(found, videos, strict=True):
        assert video.measured == probe(source.path) == probe(video.path)
        assert (video.num_frames, video.fps) == (20, 25.0)
        assert (read_frames(video.path, [0, 7, 19]) == read_frames(source.path, [0, 7, 19])).all()
    with tarfile.open(tmp_path / "out" / "shard-00000.tar") as tar:  # as any program reads it
        assert tar.getmembers()[0].name == "clip0.mp4"
        stored = tar.extractfile("clip0.mp4")
        assert stored is not None
        assert stored.read() == Path(videos[0].path).read_bytes()


def test_the_same_videos_give_the_same_bytes(videos: list[Video], tmp_path: Path) -> None:
    packed(videos, tmp_path / "one")
    packed(videos, tmp_path / "two")
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_a_killed_run_goes_on_and_keeps_what_was_finished(
    videos: list[Video], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = packed(videos, tmp_path / "whole")
    add = ShardWriter.add

    def killed(self: ShardWriter, name: str, source: io.BufferedReader, size: int) -> object:
        if name == "clip3.mp4":
            raise KeyboardInterrupt
        return add(self, name, source, size)

    monkeypatch.setattr(ShardWriter, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        packed(videos, tmp_path / "out")
    assert not (tmp_path / "out" / "shards.json").exists()
    monkeypatch.setattr(ShardWriter, "add", add)
    first = (tmp_path / "out" / "shard-00000.tar").stat()
    report = packed(videos, tmp_path / "out")
    assert 0 < report.written < whole.shards
    assert (tmp_path / "out" / "shard-00000.tar").stat() == first
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")
    assert packed(videos, tmp_path / "out").written == 0


def test_a_changed_catalogue_is_packed_anew_where_it_changed(videos: list[Video], tmp_path: Path) -> None:
    packed(videos, tmp_path / "out", 1)
    assert packed(videos[:2], tmp_path / "out", 1).written == 0
    assert sorted(digests(tmp_path / "out")) == ["shard-00000.tar", "shard-00001.tar", "shards.json"]
    assert [video.name for video in opened(tmp_path / "out")] == ["clip0", "clip1"]
    (tmp_path / "out" / "shard-00001.tar").write_bytes(b"cut off")
    assert packed(videos[:2], tmp_path / "out", 1).written == 1
    relabelled = [videos[0], dataclasses.replace(videos[1], class_name="Street")]
    assert packed(relabelled, tmp_path / "out", 1).written == 0
    assert opened(tmp_path / "out")[1].class_name == "Street"


def test_proxies_are_packed_with_boxes_in_their_pixels(videos: list[Video], tmp_path: Path) -> None:
    cache = ProxyCache(tmp_path / "proxies")
    build_proxies(cache, videos, ProxySettings(short_side=24))
    packed(videos, tmp_path / "out", paths=cache.paths(videos))
    found = opened(tmp_path / "out")[0]
    assert found.measured is not None
    assert (found.measured.width, found.measured.height) == (36, 24)
    assert found.boxes == (Box(5, 4, 4, 36, 24), Box(6, 0, 0, 5, 5, 3))
    assert read_frames(found.path, [3]).shape == (1, 24, 36, 3)


def test_a_video_that_cannot_be_read_is_left_out_and_tried_again(videos: list[Video], tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    report = packed([*videos[:1], Video("bad", str(bad)), *videos[1:]], tmp_path / "out", 1 << 30)
    assert list(report.failures) == ["bad"]
    assert "not a video, or cut off" in report.failures["bad"]
    assert [video.name for video in opened(tmp_path / "out")] == ["clip0", "clip1", "clip2", "clip3"]
    whole = (tmp_path / "out" / "shard-00000.tar").read_bytes()
    packed(videos, tmp_path / "without", 1 << 30)
    assert whole == (tmp_path / "without" / "shard-00000.tar").read_bytes()
    files, missing = to_pack([Video("gone", str(tmp_path / "gone.mp4"))], {"gone": str(tmp_path / "gone.mp4")})
    assert (files, list(missing)) == ([], ["gone"])


def test_a_catalogue_that_could_not_be_read_back_is_refused_before_anything_is_written(
    videos: list[Video], tmp_path: Path
) -> None:
    wrong = dataclasses.replace(videos[1], spans=((3, 5),))
    with pytest.raises(UserError, match=r"1 problem\(s\) in the catalogue:\n  - 'clip1': label 0 .normal., yet it has"):
        packed([videos[0], wrong], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_are_those_of_files_and_never_shared(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a")
    names = ["cam/1", "cam_1", "..", "v__#00-26_label_A", "Élite"]
    files, _ = to_pack(
        [Video(name, str(tmp_path / "a.mp4")) for name in names], dict.fromkeys(names, f"{tmp_path}/a.mp4")
    )
    assert [file.member for file in files] == [
        "cam_1.mp4", "cam_1~2.mp4", "video.mp4", "v__#00-26_label_A.mp4", "Élite.mp4"
    ]  # fmt: skip
    assert [len(shard) for shard in plan_shards(files, 2)] == [2, 2, 1]


def test_a_file_that_changes_while_it_is_packed_leaves_no_trace(tmp_path: Path) -> None:
    with open(tmp_path / "x.tar", "w+b") as file:
        writer = ShardWriter(file)
        for held in (b"abc", b"abcde"):
            with pytest.raises(EOFError, match="it changed while it was packed"):
                writer.add("a.mp4", io.BytesIO(held), 4)
        assert file.tell() == 0
        stored = writer.add("b.mp4", io.BytesIO(b"abcd"), 4)
        assert (stored.offset, stored.size, writer.close()) == (512, 4, 10_240)
