"""Every kind of catalogue is the same from a store, from a tar file, and from tar files in a folder."""

from __future__ import annotations

import logging
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pretrain.data.catalogue import CatalogueConfig, Video
from pretrain.data.catalogues import open_catalogue
from pretrain.data.catalogues.trees import relative_folder
from pretrain.data.remote.address import parse
from pretrain.data.remote.settings import FOLDER
from pretrain.data.remote.state import forget
from pretrain.errors import UserError

Make = Callable[[str], Path]
KINDS = ("folder", "csv", "json", "ucf_crime", "xd_violence", "shanghaitech", "ucf_crime2local")
LISTS = (".txt", ".csv", ".json", ".npy")


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    import fsspec

    monkeypatch.setenv(FOLDER, str(tmp_path / "copies"))
    forget()
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


def without_frames(root: Path) -> Path:
    """Folders of frames become video files: these are read from a disk alone."""
    for image in [*root.rglob("*.jpg")]:
        image.parent.with_suffix(".avi").touch()
        image.unlink()
        image.parent.rmdir()
    return root


def put(system: Any, root: Path, keep: Callable[[Path], bool] = lambda path: True) -> str:
    for path in sorted(root.rglob("*")):
        if path.is_file() and keep(path):
            system.pipe(f"/bucket/{root.name}/{path.relative_to(root)}", path.read_bytes())
    return f"memory://bucket/{root.name}"


def pack(root: Path, target: Path, keep: Callable[[Path], bool] = lambda path: True) -> Path:
    with tarfile.open(target, "w") as tar:
        for path in sorted(root.rglob("*")):
            if path.is_file() and keep(path):
                tar.add(path, f"./{path.relative_to(root)}")
    return target


def is_video(path: Path) -> bool:
    return path.suffix not in LISTS


def known(videos: Any, root: str) -> list[Video]:
    """What is known of videos, with paths as seen from the root."""
    return [
        replace(video, path=parse(video.path).member or parse(video.path).store.removeprefix(root).lstrip("/"))
        for video in videos
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_gives_the_catalogue_that_a_folder_gives(kind: str, make: Make, memory: Any) -> None:
    root = without_frames(make(kind))
    expected = known(open_catalogue(CatalogueConfig(kind=kind, root=root)), str(root))
    address = put(memory, root)
    found = open_catalogue(CatalogueConfig(kind=kind, root=Path(address)))
    assert found.source.endswith(address) or kind in ("csv", "json")
    assert all(video.path.startswith(f"{address}/") for video in found)
    assert known(found, address) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_so_does_a_tar_file_here_and_in_a_store(kind: str, make: Make, memory: Any, tmp_path: Path) -> None:
    root = without_frames(make(kind))
    expected = sorted(known(open_catalogue(CatalogueConfig(kind=kind, root=root)), str(root)), key=str)
    tar = pack(root, tmp_path / "whole.tar")
    memory.pipe("/bucket/whole.tar", tar.read_bytes())
    for place in (tar, Path("memory://bucket/whole.tar")):
        found = open_catalogue(CatalogueConfig(kind=kind, root=place))
        assert sorted(known(found, ""), key=str) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_so_do_tar_files_with_lists_beside_them(kind: str, make: Make, memory: Any, tmp_path: Path) -> None:
    root = without_frames(make(kind))
    expected = sorted(known(open_catalogue(CatalogueConfig(kind=kind, root=root)), str(root)), key=str)
    videos = sorted(path for path in root.rglob("*") if path.is_file() and is_video(path))
    for number, part in enumerate((videos[::2], videos[1::2])):
        pack(root, tmp_path / f"{number}.tar", part.__contains__)
    for path in videos:
        path.unlink()
    for number in range(2):
        (tmp_path / f"{number}.tar").rename(root / f"{number}.tar")
    for place in (root, Path(put(memory, root))):
        found = open_catalogue(CatalogueConfig(kind=kind, root=place))
        assert sorted(known(found, ""), key=str) == expected


def test_lists_in_a_store_serve_videos_of_this_disk(make: Make, memory: Any) -> None:
    root = make("ucf_crime")
    expected = list(open_catalogue(CatalogueConfig(kind="ucf_crime", root=root)))
    address = put(memory, root, lambda path: not is_video(path))
    for path in root.glob("*.txt"):
        path.unlink()
    config = CatalogueConfig(kind="ucf_crime", root=root, annotations=Path(address))
    assert list(open_catalogue(config)) == expected
    memory.pipe("/bucket/ucf_crime/Anomaly_Train.txt", b"Abuse/Abuse001_x264.mp4\n")
    forget()
    assert len(open_catalogue(config)) == len(expected) - 1


def test_an_archive_beside_its_videos_counts_for_nothing(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    root = make("folder")
    expected = list(open_catalogue(CatalogueConfig(root=root)))
    pack(root, root / "all.tar")
    with caplog.at_level(logging.WARNING):
        assert list(open_catalogue(CatalogueConfig(root=root))) == expected
    assert "1 file(s) left alone: 1 .tar (all.tar)" in caplog.text


def test_what_is_not_there_is_named_with_its_address(make: Make, memory: Any) -> None:
    with pytest.raises(UserError, match=r"memory://bucket/none: there is nothing; check the address"):
        open_catalogue(CatalogueConfig(root=Path("memory://bucket/none")))
    with pytest.raises(
        UserError, match=r"cannot read the list: memory://bucket/none/videos.csv: there is no such object"
    ):
        open_catalogue(CatalogueConfig(kind="csv", root=Path("memory://bucket/none")))
    address = put(memory, make("csv"), lambda path: path.name != "b.mp4")
    with pytest.raises(UserError, match=rf"videos.csv:3: {address}/sub/b.mp4 does not exist"):
        open_catalogue(CatalogueConfig(kind="csv", root=Path(address)))
    left = open_catalogue(CatalogueConfig(kind="csv", root=Path(address), allow_missing=True))
    assert [video.name for video in left] == ["a", "c"]


def test_a_list_may_name_addresses_and_members(make: Make, memory: Any, tmp_path: Path) -> None:
    root = make("csv")
    pack(root, root / "x.tar", lambda path: path.name == "b.mp4")
    memory.pipe("/bucket/far.mp4", b"")
    lines = ["path", "a.mp4", "memory://bucket/far.mp4", "x.tar#sub/b.mp4", "x.tar#none.mp4"]
    (root / "videos.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UserError, match=r"videos.csv:5: .*x.tar#none.mp4 does not exist"):
        open_catalogue(CatalogueConfig(kind="csv", root=root))
    found = open_catalogue(CatalogueConfig(kind="csv", root=root, allow_missing=True))
    assert [video.name for video in found] == ["a", "far", "b"]
    assert found[2].path == f"{root}/x.tar#1536+0#sub/b.mp4"  # behind a header of two parts: times in fractions


def test_folders_of_images_in_a_store_are_left_alone_with_a_word(
    make: Make, memory: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = open_catalogue(CatalogueConfig(root=Path(put(memory, make("folder")))))
    assert [video.name for video in found] == ["c", "b", "a"]
    assert "1 folder(s) of images left alone" in caplog.text


def test_two_tar_files_that_hold_one_name_are_refused(make: Make, tmp_path: Path) -> None:
    root = make("folder")
    (tmp_path / "tars").mkdir()
    for name in "ab":
        pack(root, tmp_path / "tars" / f"{name}.tar")
    with pytest.raises(UserError, match=r"two tar files hold 'test/abnormal/d/001.jpg': .*a.tar and .*b.tar"):
        open_catalogue(CatalogueConfig(root=tmp_path / "tars"))


def test_folders_of_and_in_tar_files_are_seen_from_the_root(tmp_path: Path) -> None:
    assert relative_folder("s3://b/v/train/x.tar#512+1#normal/a.mp4", Path("s3://b/v")) == "train/normal"
    assert relative_folder("s3://b/v/x.tar#a.mp4", Path("s3://b/v/x.tar")) == "."
    assert relative_folder(f"{tmp_path}/train/a.mp4", tmp_path) == "train"
