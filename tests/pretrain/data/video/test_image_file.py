"""One image as a picture: turned as EXIF says, deep grey by its true range, gone or odd ones by name."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from pretrain.data.video import VideoError, probe, read_frames
from pretrain.data.video.image_file import DEPTHS, image_size, rgb_image

UPRIGHT = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
"""EXIF orientation -> the corner (row, column) of the picture as displayed that holds its stored top left."""


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_turned_as_exif_says(suffix: str, orientation: int, tmp_path: Path) -> None:
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:8, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / f"0.{suffix}", exif=exif)
    info, picture = probe(tmp_path), read_frames(tmp_path, [0])[0]
    expected = (32, 16) if orientation < 5 else (16, 32)
    assert (info.width, info.height) == (picture.shape[1], picture.shape[0]) == expected
    corners = {corner: int(picture[corner].max()) for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1))}
    assert [corner for corner, value in corners.items() if value > 128] == [UPRIGHT[orientation]]


def test_the_header_alone_says_the_size(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20)).save(tmp_path / "0.png")
    data = (tmp_path / "0.png").read_bytes()
    (tmp_path / "0.png").write_bytes(data[:45])
    assert image_size(str(tmp_path / "0.png")) == (40, 20)


def deep_folder(folder: Path, bits: int, suffix: str = "png") -> np.ndarray:
    """Ramps of grey from 0 to the highest value of so many bits; what they are of 255."""
    folder.mkdir()
    values = np.linspace(0, (1 << bits) - 1, 64).round().astype(np.uint16).reshape(8, 8)
    for number in range(3):
        Image.fromarray(values).save(folder / f"{number}.{suffix}")
    return values / ((1 << bits) - 1) * 255


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("bits", DEPTHS)
def test_deep_grey_is_scaled_by_its_true_range(bits: int, suffix: str, tmp_path: Path) -> None:
    expected = deep_folder(tmp_path / "deep", bits, suffix)
    got = read_frames(tmp_path / "deep", [0, 2])
    assert np.abs(got[1, :, :, 0] - expected).max() <= 1
    assert (got[..., 0] == got[..., 2]).all()


def test_an_image_beyond_the_range_of_those_asked_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    for number in range(200):  # 32 of them are asked
        high = 60_000 if number == 101 else 4000
        Image.fromarray(np.full((4, 4), high, np.uint16)).save(folder / f"{number}.png")
    assert read_frames(folder, [100])[0].max() == 4000 >> 4
    with pytest.raises(
        VideoError, match=r"101\.png: grey values from 60000 to 60000, and the other images use 12 bits"
    ):
        read_frames(folder, [101])


def colour_png(path: Path, highest: int) -> None:
    pixels = np.linspace(0, highest, 8 * 8 * 3).astype(np.uint16).reshape(8, 8, 3)
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 8, 8, "rgb48be", Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb48le").reformat(format="rgb48be")
    path.write_bytes(b"".join(bytes(packet) for packet in encoder.encode(frame)))


def test_deep_colour_of_fewer_bits_is_refused_and_of_all_bits_is_read(tmp_path: Path) -> None:
    for name, highest in (("full", 65_535), ("twelve", 4095)):
        (tmp_path / name).mkdir()
        colour_png(tmp_path / name / "0.png", highest)
    assert read_frames(tmp_path / "full", [0]).max() == 255
    with pytest.raises(VideoError, match=r"stored in 16 bits, of which these images use 12 at most, .* nearly black"):
        read_frames(tmp_path / "twelve", [0])


def test_numbers_without_a_range_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "0.tif")
    with pytest.raises(
        VideoError, match=r"0\.tif: pixels are floating-point numbers of unknown range; save the frames"
    ):
        read_frames(tmp_path, [0])
    (tmp_path / "0.tif").unlink()
    Image.fromarray(np.full((4, 4), 1 << 20, np.int32)).save(tmp_path / "1.tif")
    with pytest.raises(VideoError, match=r"1\.tif: grey values from 1048576 .*their range is not known"):
        read_frames(tmp_path, [0])


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"gone\.png: no such file any more; it was removed or renamed"):
        rgb_image(str(tmp_path / "gone.png"), None, lambda: 8)


def test_a_folder_named_like_an_image_is_none(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    (tmp_path / "2.png").mkdir()
    assert probe(tmp_path).num_frames == 1


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.png")
    with pytest.raises(VideoError, match=r"1\.png: not a regular file"):
        probe(tmp_path)


@pytest.mark.parametrize("suffix", ["tif", "webp", "png"])
def test_a_file_of_many_pictures_is_not_its_first_one(suffix: str, tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (12, 8), (60 * number, 0, 0)) for number in range(4)]
    pictures[0].save(tmp_path / f"stack.{suffix}", save_all=True, append_images=pictures[1:])
    with pytest.raises(
        VideoError, match=r"holds 4 pictures, and one file is one frame; save each as a file of its own"
    ):
        probe(tmp_path)


def test_a_thumbnail_beside_a_picture_does_no_harm(tmp_path: Path) -> None:
    small = Image.new("RGB", (6, 4))
    Image.new("RGB", (12, 8)).save(tmp_path / "0.tif", save_all=True, append_images=[small])
    assert probe(tmp_path).width == 12
