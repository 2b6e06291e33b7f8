"""A picture that changes its size in the middle of a file: noticed by packets alone, said, and right frame by frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pretrain.data.catalogue import Video
from pretrain.data.check import CheckOptions, check_video
from pretrain.data.video import IndexCache, VideoInfo, probe, read_frames, stream_frames

KINDS = {
    "raw.h264": ("libx264", "yuv420p"),
    "stream.ts": ("libx264", "yuv420p"),
    "stream.mkv": ("libx264", "yuv420p"),
    "raw.hevc": ("libx265", "yuv420p"),
    "tape.ts": ("mpeg2video", "yuv420p"),
    "camera.avi": ("mjpeg", "yuvj420p"),
    "camera.mkv": ("mjpeg", "yuvj420p"),
    "web.mkv": ("libvpx", "yuv420p"),
    "web9.mkv": ("libvpx-vp9", "yuv420p"),
}
FIRST, OTHER = (64, 96), (48, 128)
"""Height and width."""
EACH = 12


def encoded(codec: str, pix_fmt: str, size: tuple[int, int], count: int, start: int) -> list[av.Packet]:
    context = av.CodecContext.create(codec, "w")
    context.height, context.width = size
    context.pix_fmt, context.time_base, context.framerate = pix_fmt, Fraction(1, 25), Fraction(25)
    context.thread_count = 1
    context.options = {"x264-params": "bframes=0:keyint=6:log-level=none"} if codec == "libx264" else {}
    if codec == "libx265":
        context.options = {"x265-params": "bframes=0:keyint=6:log-level=none:pools=1:frame-threads=1"}
    if codec.startswith("libvpx"):
        context.options = {"lag-in-frames": "0", "g": "6", "cpu-used": "8", "deadline": "realtime"}
    packets = []
    for number in range(start, start + count):
        picture = np.full((*size, 3), 40, np.uint8)
        picture[:, : size[1] // 2] = 10 * (number % 20) + 50
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)
        frame.pts, frame.time_base = number, Fraction(1, 25)
        packets += context.encode(frame)
    return packets + context.encode(None)


def changing(path: Path, sizes: list[tuple[int, int]]) -> Path:
    codec, pix_fmt = KINDS[path.name]
    parts = [encoded(codec, pix_fmt, size, EACH, EACH * part) for part, size in enumerate(sizes)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = sizes[0]
        stream.pix_fmt = pix_fmt
        for packet in (each for part in parts for each in part):
            packet.stream = stream
            packet.time_base = Fraction(1, 25)
            container.mux(packet)
    return path


@pytest.mark.parametrize("name", KINDS)
def test_a_change_of_size_is_noticed_said_and_read(name: str, tmp_path: Path) -> None:
    path = changing(tmp_path / name, [FIRST, OTHER, FIRST])
    cache = IndexCache(tmp_path / "cache")
    info = probe(path, cache=cache)
    if name == "tape.ts":  # FFmpeg's decoder loses the frame that it holds back when the size changes
        assert info.num_frames == 3 * EACH - 2
        assert info.other_sizes == ((EACH - 1, OTHER[1], OTHER[0]), (2 * EACH - 2, FIRST[1], FIRST[0]))
        return
    assert (info.height, info.width, info.num_frames) == (*FIRST, 3 * EACH)
    assert info.other_sizes == ((EACH, OTHER[1], OTHER[0]), (2 * EACH, FIRST[1], FIRST[0]))
    assert [info.size_at(frame) for frame in (0, EACH - 1, EACH, 2 * EACH - 1, 2 * EACH)] == [
        *((FIRST[1], FIRST[0]), (FIRST[1], FIRST[0]), (OTHER[1], OTHER[0]), (OTHER[1], OTHER[0])),
        (FIRST[1], FIRST[0]),
    ]
    assert info.size_note.startswith("the picture changes its size 2 time(s), first to 128x48 at frame 12; all is read")
    assert probe(path, cache=IndexCache(tmp_path / "cache")).other_sizes == info.other_sizes  # as it was kept
    streamed = np.stack([picture.copy() for _, picture in stream_frames(path, range(3 * EACH), cache=cache)])
    assert streamed.shape == (3 * EACH, *FIRST, 3)
    # the left half holds the frame's number, whatever its size
    levels = streamed[:, 20:40, 10:30].mean(axis=(1, 2, 3))
    assert np.abs(levels - [10 * (number % 20) + 50 for number in range(3 * EACH)]).max() < 8
    some = np.array([30, 2, 14])
    np.testing.assert_array_equal(read_frames(path, some, cache=cache), streamed[some])
    assert info.size_note in check_video(Video("v", str(path)), CheckOptions(), None).notes


@pytest.mark.parametrize("name", KINDS)
def test_a_picture_that_keeps_its_size_is_not_counted_for_it(name: str, tmp_path: Path) -> None:
    path = changing(tmp_path / name, [FIRST, FIRST])
    index = IndexCache(None).get(path)
    assert index.info.other_sizes == ()
    assert index.info.size_note == ""


def test_pieces_of_frames() -> None:
    path_info = probe_like(((12, 10, 10), (20, 5, 5)))
    assert path_info.pieces(0, 16) == [(0, 12), (12, 16)]
    assert path_info.pieces(12, 20) == [(12, 20)]
    assert path_info.pieces(4, 30) == [(4, 12), (12, 20), (20, 30)]
    assert path_info.pieces(4, 5) == [(4, 5)]


def probe_like(others: tuple[tuple[int, int, int], ...]) -> VideoInfo:
    return VideoInfo(40, 25.0, 20, 20, 1.6, "h264", 0, True, others)
