from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pretrain.data.video import VideoError, frame_times, probe, read_frames
from pretrain.data.video.frame_folder import natural_key


def write(folder: Path, name: str, value: int, size: tuple[int, int] = (20, 10)) -> None:
    Image.new("RGB", size, (value, value, value)).save(folder / name)


def test_frames_are_in_natural_order(tmp_path: Path) -> None:
    for number in (1, 2, 10, 9, 100):
        write(tmp_path, f"frame{number}.png", number)
    (tmp_path / "Thumbs.db").write_text("not an image")
    (tmp_path / ".hidden.png").write_text("not an image")
    info = probe(tmp_path)
    assert (info.num_frames, info.width, info.height, info.fps, info.codec) == (5, 20, 10, 25.0, "images")
    assert info.duration_seconds == pytest.approx(0.2)
    got = read_frames(tmp_path, [4, 0, 2, 2], size=(5, 8))
    assert got.shape == (4, 5, 8, 3)
    assert got[:, 0, 0, 0].tolist() == [100, 1, 9, 9]
    assert frame_times(tmp_path).tolist() == [0.0, 0.04, 0.08, 0.12, 0.16]


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "png", "bmp", "tif", "tiff"])
def test_kinds_of_images(tmp_path: Path, suffix: str) -> None:
    write(tmp_path, f"0.{suffix}", 200)
    assert abs(int(read_frames(tmp_path, [0])[0, 5, 5, 1]) - 200) < 4


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16"])
def test_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        Image.fromarray(np.full((6, 8), 200 << 8, np.uint16)).save(tmp_path / "0.png")
    else:
        Image.new("RGB", (8, 6), (200, 200, 200)).convert(mode).save(tmp_path / "0.png")
    got = read_frames(tmp_path, [0])
    assert got.shape == (1, 6, 8, 3)
    assert np.abs(got[0, 3, 3].astype(int) - 200).max() <= 4  # a palette holds 204


def test_no_image(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"no image in this folder; a video of frames holds .jpg, .jpeg, .png"):
        probe(tmp_path)


def test_sizes_must_agree(tmp_path: Path) -> None:
    write(tmp_path, "1.png", 1)
    write(tmp_path, "2.png", 2, size=(20, 12))
    with pytest.raises(VideoError, match=r"1.png is 20x10, 2.png is 20x12 \(width x height\); bring them to one size"):
        probe(tmp_path)


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    write(tmp_path, "1.png", 1)
    (tmp_path / "2.png").write_bytes((tmp_path / "1.png").read_bytes()[:40])
    with pytest.raises(VideoError, match=r"2.png: .*replace it"):
        read_frames(tmp_path, [1])


def test_a_new_image_is_seen(tmp_path: Path) -> None:
    write(tmp_path, "1.png", 1)
    assert probe(tmp_path).num_frames == 1
    write(tmp_path, "2.png", 2)
    assert probe(tmp_path).num_frames == 2


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=20, unique=True))
def test_numbers_sort_as_numbers(numbers: list[int]) -> None:
    names = sorted((f"img_{number}.jpg" for number in numbers), key=natural_key)
    assert names == [f"img_{number}.jpg" for number in sorted(numbers)]


@given(st.lists(st.text(max_size=8), max_size=10))
def test_any_names_sort_the_same_whatever_their_order(names: list[str]) -> None:
    backwards = names[::-1]
    assert sorted(backwards, key=natural_key) == sorted(names, key=natural_key)


def test_ucsd_fragment(real: Path) -> None:
    folder = real / "ucsd_ped2_fragment" / "Test001"
    info = probe(folder)
    assert (info.num_frames, info.width, info.height) == (100, 360, 240)
    first, last = read_frames(folder, [0, 99])
    assert np.array_equal(first[..., 0], first[..., 2])
    assert not np.array_equal(first, last)
