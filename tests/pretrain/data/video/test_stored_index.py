"""Stored packet indices: what is damaged or forged is noticed, built anew and said, and frames are the right ones."""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pretrain.data.video import IndexCache, read_frames
from pretrain.data.video.build_index import build_index
from pretrain.data.video.packet_index import ENTRY, PacketIndex
from pretrain.data.video.stored_index import contradiction, load_index, save_index
from pretrain.reading import Unreadable

CLOSED = {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=2"}


def facts(**changes: Any) -> Callable[[PacketIndex], PacketIndex]:
    return lambda index: dataclasses.replace(index, facts=dataclasses.replace(index.facts, **changes))


def arrays(**changes: Callable[[np.ndarray], np.ndarray]) -> Callable[[PacketIndex], PacketIndex]:
    return lambda index: dataclasses.replace(
        index, **{name: change(getattr(index, name)) for name, change in changes.items()}
    )


FORGED: dict[str, Callable[[PacketIndex], PacketIndex]] = {
    "frames outside the packets": arrays(frame_packet=lambda a: a + 10_000),
    "negative frames": arrays(frame_packet=lambda a: -a - 5),
    "two-dimensional": arrays(frame_packet=lambda a: a.reshape(2, -1)),
    "two-dimensional times": arrays(pts=lambda a: a.reshape(-1, 1)),
    "no frames": arrays(frame_packet=lambda a: a[:0]),
    "fewer frames": arrays(frame_packet=lambda a: a[:-7]),
    "doubled frames": arrays(frame_packet=lambda a: np.repeat(a[::2], 2)),
    "frames in another order": arrays(frame_packet=lambda a: a[::-1].copy()),
    "fewer sizes": arrays(size=lambda a: a[:-1]),
    "more flags": arrays(flags=lambda a: np.append(a, a)),
    "entries everywhere": arrays(flags=lambda a: a | ENTRY),
    "rate 0": facts(fps=0.0),
    "rate below 0": facts(fps=-25.0),
    "another rate": facts(fps=50.0),
    "no rate": facts(fps=None),
    "another unit": facts(seconds_per_tick=1.0),
    "another length": facts(duration_seconds=3600.0),
    "no size": facts(width=0),
    "a size that takes all memory": facts(width=10**9),
    "text for a number": facts(height="64"),
    "five turns": facts(quarter_turns=5),
}


@pytest.mark.parametrize("name", list(FORGED))
def test_a_forged_index_is_noticed_and_the_frames_are_right(
    encode: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    path = str(encode("forged.mp4", options=CLOSED))
    wanted = np.array([3, 17, 18, 41])
    right, times = read_frames(path, wanted, cache=IndexCache(None)), build_index(path).frame_times()
    file = IndexCache(tmp_path).path_of(path)
    assert file is not None
    save_index(FORGED[name](build_index(path)), file)  # signed, as if the program had written it
    with caplog.at_level(logging.WARNING):
        cache = IndexCache(tmp_path)
        assert np.array_equal(read_frames(path, wanted, cache=cache), right)
    assert f"the packet index {file} is built anew: " in caplog.text
    assert np.array_equal(cache.get(path).frame_times(), times)
    assert load_index(file).facts == build_index(path).facts


def npz(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return content.getvalue()


def npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def test_whatever_else_lies_there_is_unreadable(encode: Any, tmp_path: Path) -> None:
    path = str(encode("index.mp4", frames=10))
    file = tmp_path / "i.npz"
    index = build_index(path)
    save_index(index, file)
    whole = file.read_bytes()
    assert contradiction(load_index(file)) == ""
    rng = np.random.default_rng(0)
    with np.load(file, allow_pickle=False) as stored:
        members = {name: npy(stored[name]) for name in stored.files}
    wrong = [whole[: int(cut)] for cut in rng.integers(0, len(whole), 20)]
    for place in rng.integers(0, len(whole), 100):  # a changed bit anywhere
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(8))
        wrong.append(bytes(changed))
    huge = members["pts"].replace(b"(10,)", b"(9999999999999,)")
    for forged in (huge, npy(np.array([{}], object)), b"", members["pts"][:-1], b"\x93NUMPY\x01\x00\xff\xff{"):
        wrong.append(npz(**members | {"pts": forged}))
    for header in (
        b"[" * 10**5,
        b"[]",
        b"{}",
        b'{"version": 3}',
        b"\xff",
        b"9" * 5000,
        json.dumps({"version": 2}).encode(),
    ):
        wrong.append(npz(**members | {"header": npy(np.frombuffer(header, np.uint8))}))
    wrong.append(npz(**{name: data for name, data in members.items() if name != "size"}))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data + bytes(10**7))
    wrong.append(bomb.getvalue())
    unnoticed = 0
    for content in wrong:
        file.write_bytes(content)
        try:
            again = load_index(file)
        except Unreadable:
            continue
        unnoticed += 1  # a bit of the archive that nobody reads: a date, a padding
        assert again.facts == index.facts
        assert all(
            np.array_equal(getattr(again, n), getattr(index, n)) for n in ("pts", "size", "flags", "frame_packet")
        )
    assert unnoticed < 60
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(Unreadable, match="a pipe"):
        load_index(file)
