"""A file that goes away while a run reads is that one video's VideoError, wherever in its reading it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pretrain.data.motion import cached_motion_profile, motion_profile
from pretrain.data.proxy.manifest import SourceState
from pretrain.data.proxy.render import render
from pretrain.data.proxy.settings import ProxySettings
from pretrain.data.video import (
    IndexCache,
    JpegPackWriter,
    VideoError,
    frame_times,
    probe,
    read_frames,
    reading,
    stream_frames,
)


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture(params=["file", "folder", "pack"])
def video(request: pytest.FixtureRequest, encode: Any, tmp_path: Path) -> Path:
    """One of each kind; removed by the test."""
    if request.param == "file":
        return Path(shutil.copy(encode("whole.mp4"), tmp_path / "video.mp4"))
    if request.param == "pack":
        with JpegPackWriter(tmp_path / "a.jpegpack", (8, 12), np.arange(20) / 25, 90) as pack:
            for _ in range(20):
                pack.add(np.zeros((8, 12, 3), np.uint8))
        return tmp_path / "a.jpegpack"
    (tmp_path / "frames").mkdir()
    for number in range(20):
        Image.new("RGB", (12, 8)).save(tmp_path / "frames" / f"{number}.png")
    return tmp_path / "frames"


def uses(path: Path, cache: IndexCache, folder: Path) -> dict[str, Callable[[], object]]:
    return {
        "probe": lambda: probe(path, cache=cache),
        "times": lambda: frame_times(path, cache=cache),
        "read": lambda: read_frames(path, [3, 7], cache=cache),
        "stream": lambda: list(stream_frames(path, [3, 7], cache=cache)),
        "motion": lambda: motion_profile(str(path), cache=cache),
        "kept motion": lambda: cached_motion_profile(str(path), folder / "motion", cache=cache),
        "state": lambda: SourceState.of(str(path)),
        "proxy": lambda: render(str(path), folder / "proxy.mp4", ProxySettings()),
    }


def test_gone_after_it_was_opened(video: Path, tmp_path: Path) -> None:
    cache = IndexCache(None)
    probe(video, cache=cache)
    remove(video)
    for name, use in uses(video, cache, tmp_path).items():
        with pytest.raises(VideoError) as caught:
            use()
        assert str(caught.value).startswith(f"{video}: "), name
        assert "\n" not in str(caught.value)


def test_gone_between_two_pictures_of_a_folder(tmp_path: Path) -> None:
    for number in range(200):
        Image.new("RGB", (12, 8)).save(tmp_path / f"{number}.png")
    pictures: Iterator[Any] = stream_frames(tmp_path, range(200))
    next(pictures)
    (tmp_path / "150.png").unlink()
    with pytest.raises(VideoError, match=r"images were removed, or others put between them, while it was read; read"):
        list(pictures)


def test_a_folder_that_grows_at_its_end_is_read_as_it_was(tmp_path: Path) -> None:
    for number in range(100):
        Image.new("RGB", (12, 8), (number, 0, 0)).save(tmp_path / f"{number:03d}.png")
    pictures = stream_frames(tmp_path, range(100))
    next(pictures)
    Image.new("RGB", (12, 8)).save(tmp_path / "100.png")
    assert [int(picture[0, 0, 0]) for _, picture in pictures] == list(range(1, 100))


def test_a_disk_that_fails_is_the_videos_error(tmp_path: Path) -> None:
    there = tmp_path / "there.mp4"
    there.touch()
    said = r"there\.mp4: cannot be read \(Input/output error\); check its permissions"
    with pytest.raises(VideoError, match=said), reading(str(there)):
        raise OSError(5, "Input/output error")
