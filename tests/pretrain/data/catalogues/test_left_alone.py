"""Nothing under a folder is left out without a word: what kinds of files, how many, which folders."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from downstream.detection.inputs import find_videos
from downstream.features.find_files import find_files
from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.catalogues import open_catalogue
from pretrain.data.catalogues.disk import VIDEO_SUFFIXES
from pretrain.data.catalogues.left_alone import LeftAlone, series_of
from pretrain.errors import UserError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def names_of_catalogue(root: Path) -> list[str]:
    return [video.name for video in open_catalogue(CatalogueConfig(root=root))]


def names_of_detection(root: Path) -> list[str]:
    return [name for name, _ in find_videos([str(root)])]


READERS = [names_of_catalogue, names_of_detection]
STATED = [
    ".mts", ".m2ts", ".ts", ".h264", ".h265", ".asf", ".vob", ".ogv", ".mxf", ".mjpeg", ".m4s", ".dav", ".3gp", ".264",
    ".hevc", ".MTS", ".M2TS",
]  # fmt: skip


@pytest.mark.parametrize("names_of", READERS)
def test_endings_that_the_reader_opens_are_videos(names_of: object, tmp_path: Path) -> None:
    touch(tmp_path, *(f"v{number}{suffix}" for number, suffix in enumerate(STATED)))
    assert sorted(names_of(tmp_path)) == sorted(f"v{number}" for number in range(len(STATED)))  # type: ignore[operator]


def test_every_ending_of_an_ffmpeg_demuxer_of_camera_footage_is_known() -> None:
    """FFmpeg's own list: what it says of the containers and raw streams that cameras write."""
    kinds = (
        "mov",
        "avi",
        "asf",
        "mpegts",
        "flv",
        "h264",
        "hevc",
        "mjpeg",
        "mxf",
        "dv",
        "ogg",
        "ivf",
        "nut",
        "gxf",
        "nsv",
    )
    audio = {"m4a", "m4b", "aac", "oga", "opus", "spx", "ogg", "cdg", "mp3", "mk3d", "mka", "mks", "psp", "ism", "ismv"}
    other = {"isma", "avci", "avif", "heic", "heif", "mjpg", "mpo", "h26l", "ra"}
    for kind in kinds:
        extensions = set(av.ContainerFormat(kind, "r").extensions) - audio - other
        missing = sorted(each for each in extensions if f".{each}" not in VIDEO_SUFFIXES)
        assert not missing, (kind, missing)


@pytest.mark.parametrize("names_of", READERS)
def test_unknown_endings_are_counted_and_named(
    names_of: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    videos = ("a.mp4", "b/c.mkv")
    others = ("x.xyz", "b/y.XYZ", "b/z.xyz", "notes.txt", "README", "b/still.jpg", "._a.mp4", "Thumbs.db", ".DS_Store")
    touch(tmp_path, *videos, *others)
    assert len(names_of(tmp_path)) == 2  # type: ignore[operator]
    (said,) = [record.message for record in caplog.records]
    assert said.startswith(f"{tmp_path}: 7 file(s) left alone: 3 .xyz (")
    for part in ("1 .txt (notes.txt)", "1 without ending (README)", "1 .jpg (still.jpg)", "1 hidden .mp4 (._a.mp4)"):
        assert part in said


@pytest.mark.parametrize("names_of", READERS)
def test_folders_of_systems_are_skipped_and_said(
    names_of: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    systems = ("@eaDir", "#recycle", ".thumbnails", "System Volume Information", "$RECYCLE.BIN", "lost+found")
    touch(tmp_path, "day/a.mp4", "frames/1.jpg", "frames/2.jpg", "frames/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg")
    touch(tmp_path, "day/@eaDir/a.mp4/SYNOVIDEO_VIDEO_SCREENSHOT.jpg", *(f"{name}/old.mp4" for name in systems))
    found = sorted(name.rpartition("/")[2] for name in names_of(tmp_path))  # type: ignore[operator]
    assert found == ["a", "frames"]
    (said,) = [record.message for record in caplog.records]
    assert said.startswith(f"{tmp_path}: 8 folder(s) skipped: @eaDir (3), ")
    assert all(name in said for name in systems)


@pytest.mark.parametrize("names_of", READERS)
def test_a_folder_of_a_whole_class_is_not_one_video_without_a_word(
    names_of: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path, *(f"Abuse/Abuse{video:03d}_x264_{frame}.png" for video in (1, 2, 7) for frame in range(0, 50, 10)))
    touch(tmp_path, *(f"clip/frame{frame}.png" for frame in range(5)))
    assert len(names_of(tmp_path)) == 2  # type: ignore[operator]
    (said,) = [record.message for record in caplog.records]
    assert said == (
        f"{tmp_path}: {tmp_path}/Abuse is taken as one video of 15 images, but they are named like those of 3 videos "
        "(Abuse001_x264_..., Abuse002_x264_..., Abuse007_x264_...): if so, put the images of each into a folder of its "
        "own"
    )


def test_where_all_is_taken_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "a.mp4", "b.avi", "frames/1.jpg", "frames/2.jpg")
    assert len(names_of_catalogue(tmp_path)) == 3
    assert not caplog.records


def test_it_is_said_once_however_often_a_folder_is_opened(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "a.mp4", "b.xyz")
    for _ in range(3):
        names_of_catalogue(tmp_path)
    assert len(caplog.records) == 1


def test_a_folder_without_videos_says_what_is_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "a.xyz", "b.xyz")
    with pytest.raises(UserError, match="no videos under"):
        names_of_catalogue(tmp_path)
    assert "2 file(s) left alone: 2 .xyz (a.xyz)" in caplog.text


def test_imported_features_name_what_they_leave(tmp_path: Path) -> None:
    touch(tmp_path, "a.npy", "b.npy", "e.npy", "c.h5", "d.h5", "notes.txt", "@eaDir/a.npy", ".hidden/b.npy")
    assert find_files([tmp_path]).notes == [
        f"{tmp_path}: 3 feature files",
        f"{tmp_path}: 3 file(s) that are not .npy left alone: 2 .h5 (c.h5), 1 .txt (notes.txt)",
        f"{tmp_path}: 2 folder(s) skipped: .hidden, @eaDir",
    ]


def test_a_link_in_a_circle_spoils_no_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "nowhere.mp4").symlink_to(tmp_path / "gone.mp4")
    (tmp_path / "itself").symlink_to(tmp_path)
    assert names_of_catalogue(tmp_path) == ["a", "nowhere"]  # the latter fails when it is read, by its name


def test_many_kinds_are_cut_short() -> None:
    left = LeftAlone()
    for number in range(20):
        left.add_file(f"a.x{number}")
    assert left.lines()[0].endswith(", and 12 kinds more")


def test_series_by_their_last_number() -> None:
    assert series_of(["1.png", "2.png", "10.png"]) == [""]
    assert series_of(["a1_1.png", "a1_2.png", "a2_1.png", "a2_2.png", "b_7.png"]) == ["a1_", "a2_"]
    assert series_of(["3f9a.png", "77bc.png"]) == []
