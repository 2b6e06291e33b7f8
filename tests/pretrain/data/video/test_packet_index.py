from __future__ import annotations

import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.data.video import IndexCache, VideoError, read_frames
from pretrain.data.video.build_index import build_index
from pretrain.data.video.packet_index import ENTRY, KEY, PacketIndex, rate_of
from pretrain.errors import UserError
from tests.pretrain.data.video.made_files import damage

CLOSED = {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=2"}


def same(first: PacketIndex, second: PacketIndex) -> bool:
    arrays = ("pts", "size", "flags", "frame_packet")
    return first.facts == second.facts and all(
        np.array_equal(getattr(first, name), getattr(second, name)) for name in arrays
    )


def test_sound_files_are_not_decoded_whole(encode: Any) -> None:
    path = str(encode("sound.mp4", options=CLOSED))
    derived, counted = build_index(path), build_index(path, count=True)
    assert not derived.facts.is_counted
    assert counted.facts.is_counted
    assert counted.facts.can_seek
    assert counted.facts.num_errors == 0
    np.testing.assert_array_equal(derived.frame_packet, counted.frame_packet)
    assert np.count_nonzero(derived.flags & KEY) == np.count_nonzero(derived.flags & ENTRY) == 5


def test_packed_mpeg4_is_counted(encode: Any) -> None:
    index = build_index(str(encode("packed.avi", codec="mpeg4", options={"bf": "2", "g": "12"})))
    assert index.facts.is_counted
    assert index.num_frames == 60


def test_stream_without_times_is_read_by_counting(encode: Any) -> None:
    index = build_index(str(encode("raw.h264", options=CLOSED)))
    assert not index.facts.can_seek
    assert index.num_frames == 60
    assert index.frame_times().tolist() == [i / 25 for i in range(60)]


def test_a_second_reading_finds_the_stored_index(encode: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encode("stored.mp4", options=CLOSED)
    built = IndexCache(tmp_path).get(path)
    monkeypatch.setattr("pretrain.data.video.index_cache.build_index", lambda *_, **__: pytest.fail("built again"))
    assert same(IndexCache(tmp_path).get(path), built)
    file = IndexCache(tmp_path).path_of(path)
    assert file is not None
    assert file.parent.parent == tmp_path
    with np.load(file, allow_pickle=False) as stored:
        assert set(stored) == {"header", "pts", "size", "flags", "frame_packet"}


def test_counting_replaces_a_derived_index(encode: Any, tmp_path: Path) -> None:
    path = encode("upgrade.mp4")
    assert not IndexCache(tmp_path).get(path).facts.is_counted
    assert IndexCache(tmp_path).get(path, count=True).facts.is_counted
    assert IndexCache(tmp_path).get(path).facts.is_counted


def test_a_changed_file_gets_a_new_index(encode: Any, tmp_path: Path) -> None:
    path = encode("changed.mp4", frames=10)
    cache = IndexCache(tmp_path)
    assert cache.get(path).num_frames == 10
    path.write_bytes(encode("changed.mp4", frames=20).read_bytes())
    assert cache.get(path).num_frames == 20
    before = cache.path_of(path)
    os.utime(path, ns=(1, 1))
    assert cache.path_of(path) != before


@pytest.mark.parametrize("broken", [b"", b"PK\x03\x04 not a zip", b"x" * 500])
def test_a_broken_stored_index_is_built_again(encode: Any, tmp_path: Path, broken: bytes) -> None:
    path = encode("broken.mp4", frames=10)
    built = IndexCache(tmp_path).get(path)
    file = IndexCache(tmp_path).path_of(path)
    assert file is not None
    file.write_bytes(broken)
    assert same(IndexCache(tmp_path).get(path), built)


def test_memory_holds_a_bounded_number(encode: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pretrain.data.video.index_cache.MAX_IN_MEMORY", 2)
    cache = IndexCache(None)
    for number in range(4):
        cache.get(encode(f"{number}.mp4", frames=3))
    assert len(cache._memory) == 2
    assert len(pickle.dumps(cache)) < 300  # a worker gets the folder only


def test_a_cache_that_cannot_be_written_is_one_line(encode: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match=r"cannot write to the index cache .*file: .*; free some space or choose"):
        IndexCache(tmp_path / "file").get(encode("unwritable.mp4", frames=3))


def _index_bytes(path: str, folder: str) -> bytes:
    cache = IndexCache(folder)
    return cache.get(path).frame_packet.tobytes()


def test_many_processes_share_a_folder(encode: Any, tmp_path: Path) -> None:
    path = str(encode("shared.mp4"))
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        results = list(pool.map(_index_bytes, [path] * 6, [str(tmp_path)] * 6))
    assert len(set(results)) == 1
    assert [file.suffix for file in tmp_path.rglob("*") if file.is_file()] == [".npz"]


def test_reading_thousands_of_times_takes_no_more_memory(encode: Any) -> None:
    path = encode("memory.mp4", options=CLOSED)
    cache, rng = IndexCache(None), np.random.default_rng(0)

    def read(times: int) -> int:
        for _ in range(times):
            read_frames(path, rng.integers(0, 60, 2), size=(24, 32), cache=cache)
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc to see the memory of this process")
    warm = read(200)
    # a container kept open would cost over 100 KB a call: 150 MB
    assert read(1500) - warm < 8_000_000


def test_damage_seen_while_reading_makes_it_count(encode: Any, decode_all: Any) -> None:
    path = encode("damaged.mp4", options=CLOSED, size=(96, 128))
    damage(path, range(13, 24))
    frames = decode_all(path)
    cache = IndexCache(None)
    assert not cache.get(path).facts.is_counted
    try:
        got = read_frames(path, range(12, 24), cache=cache)
        np.testing.assert_array_equal(got, np.stack(frames[12:24]))
    except VideoError as error:
        assert "damaged: its packets promise 60 frames" in str(error)  # noqa: PT017
    index = cache.get(path)
    assert index.facts.is_counted
    assert index.facts.num_errors > 0
    assert index.num_frames == len(frames)
    chosen = np.arange(0, len(frames), 7)
    np.testing.assert_array_equal(read_frames(path, chosen, cache=cache), np.stack([frames[i] for i in chosen]))


@given(st.floats(1, 120), st.integers(2, 400), st.floats(-0.2, 0.2))
def test_a_constant_rate_is_found_again(fps: float, count: int, jitter: float) -> None:
    wobble = jitter / fps * (np.arange(count) % 2) * 0.5
    found, constant, seconds = rate_of(np.arange(count) / fps + wobble, 0.0)
    assert constant
    assert found == pytest.approx(fps, rel=0.112 / (count - 1) + 1e-6)
    assert seconds == pytest.approx(count / found, rel=1e-6)


def test_the_stated_rate_is_taken_where_it_agrees() -> None:
    milliseconds = np.round(np.arange(100) * 1000 / 30) / 1000
    assert rate_of(milliseconds, 30.0) == (30.0, True, pytest.approx(100 / 30, abs=2e-3))
    assert rate_of(milliseconds, 1000.0)[0] == pytest.approx(30, rel=1e-3)
    assert rate_of([], 0.0) == (25.0, True, 0.0)
    assert rate_of([0.0, 0.04, 0.08, 0.5], 25.0)[1] is False
