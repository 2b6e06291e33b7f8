"""What a user points at becomes videos with names: the shortest ones that tell them apart."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.detection.inputs import find_videos, is_stream
from pretrain.addresses import shown
from pretrain.errors import UserError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def names(*inputs: str | Path) -> list[str]:
    return [name for name, _ in find_videos([str(each) for each in inputs])]


def test_a_file_has_its_own_name_and_videos_of_a_folder_the_way_to_them(tmp_path: Path) -> None:
    touch(
        tmp_path, "street.mp4", "days/monday/door.mkv", "days/tuesday/door.mp4", "days/hall.part.1.avi", "days/note.txt"
    )
    assert names(tmp_path / "street.mp4") == ["street"]
    assert names(tmp_path / "days") == ["hall.part.1", "monday/door", "tuesday/door"]
    assert names(tmp_path / "days", tmp_path / "street.mp4")[-1] == "street"


def test_films_of_an_earlier_call_are_no_inputs(tmp_path: Path) -> None:
    days = touch(tmp_path / "days", "a.mp4", "films/b.mp4", "found/films/01-a.mp4")

    def found(given: Path, out: Path) -> list[str]:
        return [name for name, _ in find_videos([str(given)], out)]

    assert found(days, days / "found") == ["a", "films/b"]
    assert found(days, days) == ["a", "found/films/01-a"]
    assert found(days / "found" / "films", days / "found") == ["01-a"], "asked for by name"
    assert found(days, tmp_path / "elsewhere") == ["a", "films/b", "found/films/01-a"]


@pytest.mark.parametrize("way", ["{}", "{}/", "./{}", "."])
def test_a_folder_of_frames_has_the_folders_name_however_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    touch(tmp_path, "frames/0001.jpg", "frames/0002.jpg")
    monkeypatch.chdir(tmp_path / "frames" if way == "." else tmp_path)
    assert names(way.format("frames")) == ["frames"]


def test_a_video_that_is_given_twice_is_scored_once(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a" / "x.mp4")
    assert names(tmp_path / "a", tmp_path / "a" / "x.mp4", tmp_path / "link.mp4", tmp_path / "a") == ["x"]


def test_two_of_one_name_keep_what_tells_them_apart_and_others_keep_theirs(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.mp4", "a/x.avi", "a/y.mp4", "b/y.mp4")
    assert names(tmp_path / "a") == ["x.avi", "x.mp4", "y"]
    assert names(tmp_path / "a", tmp_path / "b") == ["x.avi", "x.mp4", f"{tmp_path}/a/y.mp4", f"{tmp_path}/b/y.mp4"]


part = st.sampled_from(["x", "y", "x.mp4", "y.avi"])
file = st.builds(lambda folder, stem, suffix: f"{folder}{stem}{suffix}", st.sampled_from(["", "p/", "q/", "p/q/"]),
                 part, st.sampled_from([".mp4", ".avi"]))  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.sets(file, min_size=1, max_size=8), st.lists(st.sampled_from([".", "p", "q"]), min_size=1, max_size=3))
def test_every_video_once_under_a_name_of_its_own(files: set[str], inputs: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = touch(Path(folder).resolve(), *files)
        given_ = [str(root / each) for each in inputs if (root / each).is_dir()] or [str(root)]
        below = {path for each in given_ for path in root.glob("**/*") if path.is_file() and path.is_relative_to(each)}
        if any(not any(path.is_relative_to(each) for path in below) for each in given_):
            return
        found = find_videos(given_)
        assert {os.path.realpath(path) for _, path in found} == {str(path) for path in below}
        assert len(found) == len(below) == len({name for name, _ in found})
        if len(set(given_)) == 1:  # below one folder the way there is enough
            whole = [os.path.relpath(path, given_[0]) for _, path in found]
            short = [os.path.splitext(each)[0] for each in whole]
            for (name, path), one, other in zip(found, short, whole, strict=True):
                assert name in (one, other, path)
                assert (name == one) or Counter(short)[one] > 1 or one in whole


def test_streams_are_told_from_files(tmp_path: Path) -> None:
    assert is_stream("rtsp://10.0.0.7:554/live")
    assert is_stream("http://camera/video.mp4")
    assert is_stream("/dev/null")  # a character device, as a camera is
    assert not is_stream(str(touch(tmp_path, "x.mp4") / "x.mp4"))
    assert not is_stream("c:/videos/x.mp4")
    assert not is_stream(str(tmp_path / "nothing"))


def test_all_inputs_that_are_wrong_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        find_videos([str(tmp_path / "gone.mp4"), "rtsp://camera", str(tmp_path / "nowhere"), "rtsp:/u:secret@cam"])
    assert str(error.value).splitlines() == [
        "4 input(s) cannot be scored:",
        "  - 'rtsp://camera' is a stream; give it alone",
        f"  - there is no '{tmp_path}/gone.mp4'",
        f"  - there is no '{tmp_path}/nowhere'",
        f"  - '{shown('rtsp:/u:secret@cam')}' is no file, and not written like an address (rtsp://host/path)",
    ]


def test_a_folder_without_videos_and_one_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=f"no video.*{tmp_path}"):
        find_videos([str(tmp_path)])

    def closed(folder: str) -> None:  # whoever is root can read every folder
        raise PermissionError(13, "Permission denied", folder)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(UserError, match=r"cannot list the folder .*: Permission denied; mend its permissions"):
        find_videos([str(tmp_path)])


def test_videos_in_a_store_and_in_tar_files_are_found(tmp_path: Path) -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    for name in ("v/a.mp4", "v/cam/b.mp4", "empty/list.txt"):
        memory.pipe(f"/inputs/{name}", b"")
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("cam/c.mp4"))
    tar_file = str(tmp_path / "x.tar")
    assert not is_stream("memory://inputs/v")
    assert find_videos(["memory://inputs/v", "memory://inputs/v/a.mp4", tar_file, f"{tar_file}#cam/c.mp4"]) == [
        ("a", "memory://inputs/v/a.mp4"),
        ("cam/b", "memory://inputs/v/cam/b.mp4"),
        ("cam/c", f"{tar_file}#512+0#cam/c.mp4"),
        ("c", f"{tar_file}#cam/c.mp4"),
    ]
    with pytest.raises(UserError, match="no videos under 'memory://inputs/empty'"):
        find_videos(["memory://inputs/empty"])
