from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.data.catalogue import CatalogueConfig, Video
from pretrain.data.catalogues.disk import VIDEO_SUFFIXES, video_name
from pretrain.data.catalogues.folder import open_folder
from pretrain.errors import UserError


def videos_of(root: Path, *paths: str) -> dict[str, Video]:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return {video.name: video for video in open_folder(CatalogueConfig(root=root))}


def test_any_nesting_and_suffix_case(tmp_path: Path) -> None:
    found = videos_of(tmp_path, "a.MP4", "x/y/z/b.b.Mkv", "x/c.gif", "x/notes.txt", ".hidden/d.mp4", "x/._c.mp4")
    assert set(found) == {"a", "b.b", "c"}
    assert found["b.b"] == Video("b.b", str(tmp_path / "x/y/z/b.b.Mkv"))


@pytest.mark.parametrize("layout", ["train/abnormal", "Abnormal/Train", "abnormal/train/Fighting/day2"])
def test_split_and_label_in_either_order(tmp_path: Path, layout: str) -> None:
    other = layout.lower().replace("abnormal", "normal").replace("train", "test")
    found = videos_of(tmp_path, f"{layout}/a.mp4", f"{other}/b.mp4", "loose/train/c.mp4")
    assert (found["a"].label, found["a"].split) == (1, "train")
    assert (found["b"].label, found["b"].split) == (0, "test")
    # Only the top counts: deeper folders may be called anything.
    assert (found["c"].label, found["c"].split) == (None, "train")


def test_a_folder_of_frames_is_one_video(tmp_path: Path) -> None:
    found = videos_of(
        tmp_path, "test/clip/001.tif", "test/clip/002.tif", "test/clip_gt/001.bmp", "film/f.mp4", "film/t.jpg"
    )
    assert set(found) == {"clip", "f"}
    assert found["clip"] == Video("clip", str(tmp_path / "test/clip"), split="test")


def test_the_root_itself_may_be_the_folder_of_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = tmp_path / "clip"
    assert set(videos_of(clip, "001.png")) == {"clip"}
    monkeypatch.chdir(clip)
    assert [video.name for video in open_folder(CatalogueConfig(root=Path(".")))] == ["clip"]


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "a.mp4").touch()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "round").symlink_to(tmp_path / "data")
    assert [video.name for video in open_folder(CatalogueConfig(root=tmp_path / "data"))] == ["a"]


def test_every_pair_of_one_name_is_listed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="2 problem") as error:
        videos_of(tmp_path, "x/a.mp4", "y/a.avi", "x/b.mp4", "y/b.mp4", "c.mp4")
    for path in ("x/a.mp4", "y/a.avi", "x/b.mp4", "y/b.mp4"):
        assert str(tmp_path / path) in str(error.value)
    assert "rename one" in str(error.value)


def test_a_file_for_a_root(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(UserError, match=r"a\.mp4' is a file; give the folder of the videos"):
        open_folder(CatalogueConfig(root=tmp_path / "a.mp4"))


@given(
    stem=st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1),
    suffix=st.sampled_from(sorted(VIDEO_SUFFIXES)),
)
def test_a_name_loses_its_suffix_once_and_no_more(stem: str, suffix: str) -> None:
    name = video_name(stem + suffix)
    assert name == video_name(stem + suffix.upper())
    if stem.isascii():
        assert name == stem


def test_names_compare_in_one_unicode_form() -> None:
    assert video_name("E\u0301lite.mp4") == video_name("\u00c9lite.mp4") == "\u00c9lite"
