"""The contract: frame i is the i-th frame of a whole decode, bit for bit, however it is reached."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pretrain.data.video import IndexCache, VideoError, frame_times, probe, read_frames, stream_frames
from pretrain.data.video.container import open_stream
from pretrain.data.video.decode import feed_packets, packets_of
from pretrain.data.video.packet_index import ENTRY, KEY
from pretrain.data.video.pyav_reader import plan_runs
from tests.pretrain.data.video.made_files import STREAMS, X264


def differences(path: Path, frames: list[np.ndarray], rng: np.random.Generator, reads: int = 12) -> list[int]:
    """The frame numbers that came back as other pictures."""
    cache = IndexCache(None)
    wrong = []
    for read in range(reads):
        indices = rng.integers(0, len(frames), rng.integers(1, 8))
        if read % 3 == 0:  # a clip
            start = int(rng.integers(0, len(frames)))
            indices = np.arange(start, len(frames), int(rng.integers(1, 5)))[:16]
        got = read_frames(path, indices, cache=cache)
        wrong += [int(i) for i, picture in zip(indices, got, strict=True) if not np.array_equal(picture, frames[i])]
    return wrong


@pytest.mark.parametrize("name", STREAMS)
def test_random_access_equals_sequential_decode(name: str, encode: Any, decode_all: Any) -> None:
    codec, options = STREAMS[name]
    path = encode(name, codec=codec, options=options)
    frames = decode_all(path)
    assert probe(path).num_frames == len(frames) == 60
    assert differences(path, frames, np.random.default_rng(0)) == []


def test_frames_nothing_refers_to_are_skipped_unless_wanted(encode: Any, decode_all: Any) -> None:
    path = encode("b.mp4", options={"x264-params": "keyint=250:bframes=3:b-adapt=0:b-pyramid=none:scenecut=0"})
    index, frames = IndexCache(None).get(path), decode_all(path)
    with open_stream(str(path)) as (container, stream):
        wanted = np.array([42, 43])
        out = list(feed_packets(stream.codec_context, packets_of(container, stream), index, 0, wanted))
    # three in four of the 60 frames are B-frames without references; at most these two of them come out
    assert 15 <= len(out) <= 18
    np.testing.assert_array_equal(read_frames(path, wanted), np.stack([frames[42], frames[43]]))


def test_open_gop_leading_frames_are_reached_from_the_entry_before(encode: Any) -> None:
    path = encode("open.mp4", options={"x264-params": f"{X264}:open-gop=1:bframes=4:b-adapt=0"})
    index = IndexCache(None).get(path)
    packets, frames = index.entries
    assert len(packets) == np.count_nonzero(index.flags & KEY) > 3
    leading = frames[2] - 1  # shown before the entry's own picture, decoded after it
    assert index.frame_packet[leading] > packets[2]
    assert index.entry_before(np.array([leading, frames[2]])).tolist() == [packets[1], packets[2]]


def test_intra_refresh_is_decoded_from_the_beginning(encode: Any) -> None:
    path = encode("refresh.mp4", options={"x264-params": f"{X264}:intra-refresh=1"})
    index = IndexCache(None).get(path)
    assert np.count_nonzero(index.flags & KEY) > 2
    assert np.flatnonzero(index.flags & ENTRY).tolist() == [0]


def test_runs_seek_only_over_later_entries(encode: Any) -> None:
    index = IndexCache(None).get(encode("runs.mp4", options={"x264-params": f"{X264}:bframes=0"}))
    runs = plan_runs(index, np.array([1, 5, 20, 59]))
    assert [(entry, frames.tolist()) for entry, frames in runs] == [(0, [1, 5]), (12, [20]), (48, [59])]
    assert len(plan_runs(index, np.arange(60))) == 1
    assert len(plan_runs(index, np.array([10, 12]))) == 1  # nothing worth leaving out lies between


def test_any_order_and_duplicates(encode: Any, decode_all: Any) -> None:
    path = encode("order.mp4")
    frames = decode_all(path)
    got = read_frames(path, [50, 3, 3, 17, 50])
    np.testing.assert_array_equal(got, np.stack([frames[i] for i in (50, 3, 3, 17, 50)]))
    assert read_frames(path, []).shape == (0, 48, 64, 3)


@pytest.mark.parametrize(("size", "pix_fmt"), [((49, 67), "yuv444p"), ((48, 64), "yuv420p10le"), ((2, 2), "yuv420p")])
def test_odd_sizes_and_ten_bits(encode: Any, decode_all: Any, size: tuple[int, int], pix_fmt: str) -> None:
    codec = "libx264" if size != (2, 2) else "ffv1"
    if size == (2, 2):
        path = _tiny(encode)
    else:
        path = encode("odd.mkv", codec=codec, size=size, pix_fmt=pix_fmt, frames=12)
    frames = decode_all(path)
    np.testing.assert_array_equal(read_frames(path, range(len(frames))), np.stack(frames))
    assert read_frames(path, [0], size=(30, 41)).shape == (1, 30, 41, 3)


def _tiny(encode: Any) -> Path:
    path = Path(encode("tiny.mkv", codec="ffv1", frames=1)).with_name("two.mkv")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 2, 2, "yuv420p"
        for number in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((2, 2, 3), 80 * number, np.uint8))))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("degrees", "turns"), [(-90, 1), (180, 2), (90, 3)])
def test_rotation_is_applied(encode: Any, decode_all: Any, degrees: int, turns: int) -> None:
    path = encode("turned.mp4", frames=5, prepare=lambda stream: stream.set_display_rotation(degrees))
    stored = np.stack(decode_all(path))
    info = probe(path)
    assert info.rotation == 90 * turns
    assert (info.height, info.width) == ((64, 48) if turns % 2 else (48, 64))
    # np.rot90 turns counter-clockwise
    np.testing.assert_array_equal(read_frames(path, range(5)), np.rot90(stored, -turns, axes=(1, 2)))
    assert read_frames(path, [2], size=(32, 24)).shape == (1, 32, 24, 3)


def test_variable_rate_keeps_times(encode: Any, decode_all: Any) -> None:
    rng = np.random.default_rng(3)
    ticks = np.cumsum(rng.integers(1, 6, 60)).tolist()
    path = encode("vfr.mp4", ticks=ticks, options={"x264-params": X264})
    info = probe(path)
    assert not info.is_constant_rate
    assert info.fps == pytest.approx(59 / ((ticks[-1] - ticks[0]) / 25))
    np.testing.assert_allclose(frame_times(path), (np.array(ticks) - ticks[0]) / 25, atol=1e-4)
    assert differences(path, decode_all(path), rng) == []


def test_scaling_keeps_the_picture(encode: Any) -> None:
    path = encode("scaled.mp4", size=(96, 128))
    small = read_frames(path, [7, 8], size=(48, 64)).astype(float)
    averaged = read_frames(path, [7])[0].astype(float).reshape(48, 2, 64, 2, 3).mean(axis=(1, 3))
    own, other = np.abs(small - averaged).mean(axis=(1, 2, 3))
    assert own < 12 < 20 < other


def test_real_files_are_exact(real: Path, decode_all: Any) -> None:
    """Every odd file that is quick to decode: as many frames as ffmpeg counts, each exact; or a VideoError."""
    rng = np.random.default_rng(0)
    with open(real / "odd_videos" / "index.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    checked = refused = 0
    for row in rows:
        path = real / "odd_videos" / row["file"]
        expected = int(row["frames_decoded_by_ffmpeg"] or 0)
        pixels = expected * int(row["width"] or 0) * int(row["height"] or 0)
        if expected == 0:
            with pytest.raises(VideoError, match="odd_videos"):
                probe(path)
            refused += 1
        elif pixels < 8_000_000:
            frames = _as_displayed(path, decode_all(path))
            assert probe(path).num_frames == len(frames) == expected, path.name
            assert differences(path, frames, rng, reads=4) == [], path.name
            checked += 1
    assert checked > 20
    assert refused > 35


@pytest.mark.slow
def test_all_real_files_are_exact(real: Path, decode_all: Any) -> None:
    rng = np.random.default_rng(0)
    paths = [path for path in sorted((real / "odd_videos").iterdir()) if path.suffix != ".csv"]
    paths += sorted((real / "surveillance").iterdir()) + sorted((real / "hockey").iterdir())[::50]
    paths += sorted((real / "fight_streams" / "videos").iterdir())[::10]
    for path in paths:
        try:
            info = probe(path)
        except VideoError:
            continue
        if info.num_frames * info.height * info.width < 600_000_000:
            frames = _as_displayed(path, decode_all(path))
            assert len(frames) == info.num_frames, path.name
            assert differences(path, frames, rng) == [], path.name


def _as_displayed(path: Path, frames: list[np.ndarray]) -> list[np.ndarray]:
    facts = IndexCache(None).get(path).facts
    if facts.pixel_aspect != 1:  # scaled to square pixels: what a decode from the beginning gives
        return [picture.copy() for _, picture in stream_frames(path, range(len(frames)))]
    return [np.rot90(frame, -facts.quarter_turns) for frame in frames]
