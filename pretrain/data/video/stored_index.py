"""A packet index on disk: an uncompressed .npz (no pickle), with a hash of its content, checked before it is believed.

A wrong index gives wrong frames without a word. So what does not fit together, or is not what was written, is
Unreadable: the cache builds it anew.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pretrain.arrays import array_of
from pretrain.data.video.packet_index import DISCARD, ENTRY, KEY, NO_PTS, PacketIndex, StreamFacts, rate_of
from pretrain.files import replacing
from pretrain.json_shapes import check, every, number, of_type, record, text, whole
from pretrain.reading import Unreadable, read_bytes
from pretrain.versioned_json import parse_json

VERSION = 3
MAX_BYTES = 1 << 30
"""Of one index: 17 bytes a packet."""
_ARRAYS = {"pts": "i", "size": "i", "flags": "u", "frame_packet": "i"}
_FACTS = every(
    of_type(StreamFacts),
    record(
        {
            "width": whole(1, 1 << 16),
            "height": whole(1, 1 << 16),
            "quarter_turns": whole(0, 3),
            "fps": number(1e-6, 1e6),
            "duration_seconds": number(0, 1e9),
            "seconds_per_tick": number(0, 1e6),
            "header_frames": whole(0),
            "header_seconds": number(0, 1e9),
            "num_errors": whole(0),
        }
    ),
)
_HEADER = record({"version": whole(VERSION, VERSION), "sha256": text, "facts": _FACTS}, closed=True)


def save_index(index: PacketIndex, path: Path) -> None:
    """Write it atomically."""
    pts = index.pts.astype(np.int32) if _fits_int32(index.pts) else index.pts
    arrays = {"pts": pts, "size": index.size, "flags": index.flags, "frame_packet": index.frame_packet}
    facts = asdict(index.facts)
    header = json.dumps({"version": VERSION, "sha256": _digest(facts, arrays), "facts": facts}).encode()
    with replacing(path) as temporary:
        np.savez(temporary, header=np.frombuffer(header, np.uint8), **arrays)  # type: ignore[arg-type]


def load_index(path: Path) -> PacketIndex:
    """Read a stored index; Unreadable where it is damaged, of another version, or does not fit together."""
    members = _members(path)
    try:
        header = parse_json(array_of(members["header"], kinds="u", shape=(None,)).tobytes())
        check(header, _HEADER)
    except ValueError as error:
        raise Unreadable(str(error)) from error
    arrays = {name: array_of(members[name], kinds=kind, shape=(None,)) for name, kind in _ARRAYS.items()}
    if _digest(header["facts"], arrays) != header["sha256"]:
        raise Unreadable("its content is not what was written")
    index = PacketIndex(
        facts=StreamFacts(**header["facts"]),
        pts=arrays["pts"].astype(np.int64),
        size=arrays["size"].astype(np.int32),
        flags=arrays["flags"].astype(np.uint8),
        frame_packet=arrays["frame_packet"].astype(np.int32),
    )
    if wrong := contradiction(index):
        raise Unreadable(wrong)
    return index


def contradiction(index: PacketIndex) -> str:
    """What in an index does not fit together; an empty string where all does."""
    packets, frames = len(index.pts), index.frame_packet
    if not packets or not len(frames):
        return "it has no packets, or no frames"
    if len(index.size) != packets or len(index.flags) != packets:
        return f"it has {packets} time stamps, {len(index.size)} sizes and {len(index.flags)} flags"
    if (index.size < 0).any() or ((index.flags & ENTRY != 0) & (index.flags & KEY == 0)).any():
        return "a packet has no size, or is entered without a keyframe"
    if index.facts.seconds_per_tick or index.facts.can_seek:
        if frames.min() < 0 or frames.max() >= packets:
            return f"a frame is of packet {frames.min()} or {frames.max()}, and there are {packets}"
        if len(np.unique(frames)) < len(frames) or (index.pts[frames] == NO_PTS).any():
            return "two frames are of one packet, or one is of a packet without a time"
    elif frames.min() < -1 or frames.max() >= packets:
        return "a frame is of no packet"
    return _wrong_times(index)


def _wrong_times(index: PacketIndex) -> str:
    facts, frames = index.facts, index.frame_packet
    if not facts.is_counted and len(frames) != int((index.flags & DISCARD == 0).sum()):
        return f"it has {len(frames)} frames, and another number of packets that are shown"
    if not facts.seconds_per_tick:
        return ""
    ticks = index.pts[frames].astype(np.float64)
    if (np.diff(ticks) <= 0).any():
        return "its frames are not in the order of their times"
    fps, constant, seconds = rate_of(ticks * facts.seconds_per_tick, facts.fps)
    if abs(fps / facts.fps - 1) > 1e-6 or constant != facts.is_constant_rate:
        return f"it says {facts.fps:g} frames a second, its times {fps:g}"
    if abs(seconds - facts.duration_seconds) > 1e-6 * max(1.0, seconds):
        return f"it says {facts.duration_seconds:g} seconds, its times {seconds:g}"
    return ""


def _members(path: Path) -> dict[str, bytes]:
    """The stored arrays by name, as bytes of .npy files; nothing in the archive may unpack to more than it has."""
    content = read_bytes(path, MAX_BYTES)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            names = sorted(entry.filename for entry in entries)
            if names != sorted(f"{name}.npy" for name in ("header", *_ARRAYS)):
                raise Unreadable("it is not the archive of an index")
            stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
            if not stored or sum(entry.file_size for entry in entries) > len(content):
                raise Unreadable("its archive says that it unpacks to more than it has")
            return {entry.filename.removesuffix(".npy"): archive.read(entry) for entry in entries}
    except Unreadable:
        raise
    except Exception as error:  # forged archives lead zipfile into errors of many kinds
        raise Unreadable(f"no archive: {' '.join(str(error).split()) or type(error).__name__}") from error


def _digest(facts: dict[str, Any], arrays: dict[str, Any]) -> str:
    """Hex SHA-256 of all that is stored, types and lengths included."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _fits_int32(values: np.ndarray) -> bool:
    limits = np.iinfo(np.int32)
    return not len(values) or (values.min() >= limits.min and values.max() <= limits.max)
