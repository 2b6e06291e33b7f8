"""A stream of chosen frames is what reading them by number gives, for every kind of file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pretrain.data.video import (
    IndexCache,
    JpegPackWriter,
    VideoError,
    is_media_file,
    read_frames,
    stream_frames,
)
from tests.pretrain.data.video.conftest import pictures
from tests.pretrain.data.video.made_files import STREAMS, damage


def streamed(path: Path, frames: Any, size: tuple[int, int] | None = None) -> tuple[list[int], np.ndarray]:
    pairs = [(number, picture.copy()) for number, picture in stream_frames(path, frames, size=size)]
    return [number for number, _ in pairs], np.stack([picture for _, picture in pairs])


def check(path: Path, frames: Any, size: tuple[int, int] | None = None) -> None:
    numbers, got = streamed(path, frames, size)
    assert numbers == list(frames)
    np.testing.assert_array_equal(got, read_frames(path, list(frames), size=size))


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_equals_reading_by_number(name: str, encode: Any) -> None:
    codec, options = STREAMS[name]
    path = encode(name, codec=codec, options=options)
    check(path, range(60))
    check(path, [3, 4, 17, 38, 59], size=(24, 32))


@pytest.mark.parametrize("degrees", [-90, 180, 90])
def test_turned_videos(degrees: int, encode: Any) -> None:
    check(encode("turned.mp4", frames=5, prepare=lambda stream: stream.set_display_rotation(degrees)), range(5))


def test_folders_and_packs_come_in_blocks(tmp_path: Path) -> None:
    frames = list(pictures(70, 24, 32))
    (tmp_path / "images").mkdir()
    for number, picture in enumerate(frames):
        Image.fromarray(picture).save(tmp_path / "images" / f"{number}.png")
    with JpegPackWriter(tmp_path / "a.jpegpack", (24, 32), np.arange(70) / 25, 90) as pack:
        for picture in frames:
            pack.add(picture)
    for path in (tmp_path / "images", tmp_path / "a.jpegpack"):
        assert not is_media_file(str(path))
        check(path, range(70))
        check(path, [1, 66, 69], size=(12, 16))
    np.testing.assert_array_equal(streamed(tmp_path / "images", range(70))[1], np.stack(frames))


def noisy(encode: Any, packets: range) -> Path:
    path = encode("noisy.mp4", options={"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=0"}, size=(96, 128))
    damage(path, packets)
    return Path(path)


def test_a_damaged_file_whose_frames_all_decode_is_streamed_as_it_is_read(encode: Any) -> None:
    path, counted = noisy(encode, range(14, 15)), IndexCache(None)
    assert (counted.get(path).num_frames, counted.get(path, count=True).num_frames) == (60, 60)
    numbers, got = streamed(path, range(60))
    assert numbers == list(range(60))
    np.testing.assert_array_equal(got, read_frames(path, range(60), cache=counted))


def test_a_damaged_file_that_lacks_frames_is_refused(encode: Any) -> None:
    with pytest.raises(VideoError, match=r"noisy\.mp4: damaged: its packets promise 60 frames, 59 decode; leave"):
        streamed(noisy(encode, range(14, 16)), range(60))


def test_errors_name_the_file(encode: Any, tmp_path: Path) -> None:
    path = encode("sixty.mp4")
    with pytest.raises(VideoError, match=r"sixty\.mp4: no frame 60: it has 60 frames, numbered 0 to 59"):
        streamed(path, [0, 60])
    with pytest.raises(VideoError, match=r"gone\.mp4: no such file"):
        streamed(tmp_path / "gone.mp4", [0])
    assert list(stream_frames(path, [])) == []
