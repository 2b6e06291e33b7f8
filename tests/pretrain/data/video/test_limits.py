"""Geometry before memory: a picture beyond the limits is refused by its header, whoever reads it."""

from __future__ import annotations

import contextlib
import resource
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pretrain.data.geometry import covering
from pretrain.data.motion import motion_profile
from pretrain.data.proxy.render import render
from pretrain.data.proxy.settings import ProxySettings
from pretrain.data.video import VideoError, VideoInfo, probe, read_frames, stream_frames
from pretrain.data.video.limits import MAX_PIXELS, MAX_SIDES_RATIO, check_picture


def folder_of(folder: Path, width: int, height: int, count: int = 3) -> Path:
    folder.mkdir()
    for number in range(count):
        Image.new("L", (width, height)).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize(("width", "height"), [(1, 100_000), (100_000, 1), (4, 4000), (65_000, 2)])
def test_a_long_thin_picture_is_refused_by_its_header(width: int, height: int, tmp_path: Path) -> None:
    path = folder_of(tmp_path / "thin", width, height)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    uses: list[Any] = [
        lambda: probe(path),
        lambda: read_frames(path, [0], size=(112, 112)),
        lambda: list(stream_frames(path, range(3))),
        lambda: motion_profile(str(path)),
        lambda: render(str(path), tmp_path / "proxy.mp4", ProxySettings()),
    ]
    for use in uses:
        with pytest.raises(
            VideoError, match=rf"{width}x{height} pixels, one side \d+ times the other and the limit is"
        ):
            use()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


def test_a_thin_video_file_is_refused(encode: Any) -> None:
    path = encode("thin.mkv", codec="ffv1", size=(10, 4000), frames=2)
    with pytest.raises(VideoError, match=r"4000x10 pixels, one side 400 times the other and the limit is 32; crop it"):
        probe(path)


def test_one_wide_picture_among_others_is_refused_without_decoding_it(tmp_path: Path) -> None:
    path = folder_of(tmp_path / "wide", 20, 10)
    header = (path / "0.png").read_bytes()
    # the header claims 8,640,000 columns; behind it there is nothing of the kind
    claimed = bytearray(header)
    claimed[16:20] = (8_640_000).to_bytes(4, "big")
    claimed[29:33] = zlib.crc32(bytes(claimed[12:29])).to_bytes(4, "big")
    (path / "1.png").write_bytes(bytes(claimed))
    with pytest.raises(VideoError, match=r"1\.png: its picture is 8640000x10 pixels"):
        probe(path)


def test_the_limits() -> None:
    check_picture("a", 15_360, 8_640)  # 16K
    check_picture("a", 32 * 200, 200)
    with pytest.raises(VideoError, match="a: its picture is 20000x10000 pixels, more than the limit of 134 million"):
        check_picture("a", 20_000, 10_000)
    with pytest.raises(VideoError, match="one side 33 times the other"):
        check_picture("a", 3300, 100)
    with pytest.raises(VideoError, match="its picture is 0x10 pixels: there is nothing to see"):
        check_picture("a", 0, 10)


def test_what_is_enlarged_to_cover_stays_within_the_limits() -> None:
    """Every shape that is let through, and every border: never more pixels than the limit."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        short = int(rng.integers(1, 500))
        width, height = short, int(short * rng.uniform(1, MAX_SIDES_RATIO))
        if rng.integers(2):
            width, height = height, width
        border = tuple(float(share) for share in rng.uniform(0, 0.49, 4))
        info = VideoInfo(1, 25.0, width, height, 0.04, "images", 0, True)
        with contextlib.suppress(VideoError):
            scaled, _, _ = covering(info, 112, 112, border)  # type: ignore[arg-type]
            assert scaled[0] * scaled[1] <= MAX_PIXELS


def test_a_border_that_leaves_a_sliver_is_refused() -> None:
    info = VideoInfo(1, 25.0, 4000, 200, 0.16, "images", 0, True)
    with pytest.raises(
        VideoError, match=r"the border leaves 4000x4 of 4000x200 pixels; .* million pixels: cut away less"
    ):
        covering(info, 224, 224, (0.49, 0.49, 0, 0))
