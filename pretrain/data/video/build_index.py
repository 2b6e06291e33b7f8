"""Building a packet index from a file: read all packets, decode a little, and count by decoding where that is odd."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pretrain.data.video.container import FFMPEG_ERRORS, looks_encrypted, open_stream, pixel_aspect_of
from pretrain.data.video.decode import StreamMismatch, all_frames, decode_frames, packets_of, plane_rows
from pretrain.data.video.info import VideoError
from pretrain.data.video.packet_index import (
    CORRUPT,
    DISCARD,
    DISPOSABLE,
    ENTRY,
    KEY,
    NO_PTS,
    PacketIndex,
    StreamFacts,
    rate_of,
)
from pretrain.data.video.random_access import EntryPoints
from pretrain.data.video.size_headers import SizeWatch

ALWAYS_COUNTED = frozenset({"mpeg4", "msmpeg4v3", "gif"})
"""MPEG-4 in AVI packs two pictures into one packet and fills up with empty ones: packets and frames do not pair."""
HEAD_FRAMES, HEAD_PACKETS = 4, 64
VERIFIED_ENTRIES, VERIFIED_FRAMES = 64, 3


@dataclass
class _Scan:
    """What one pass over the packets found."""

    codec: str
    seconds_per_tick: float
    stated_fps: float
    header_frames: int
    header_seconds: float
    pixel_aspect: float
    pts: list[int] = field(default_factory=list)
    size: list[int] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    head: list[Any] = field(default_factory=list)
    """The first frames that decode."""
    may_change_size: bool = False


@dataclass
class _Count:
    """What decoding the whole stream gave."""

    pts: list[int | None] = field(default_factory=list)
    checksums: list[int] = field(default_factory=list)
    sizes: list[tuple[int, int, int]] = field(default_factory=list)
    """Where the stored picture has another size than before: (frame, width, height)."""
    errors: list[str] = field(default_factory=list)
    first: Any = None


def build_index(path: str, *, count: bool = False) -> PacketIndex:
    """The index of a video file; `count` decodes the whole stream even where its packets look sound.

    A counted index that can seek has had its entry points (at most 64 of them, spread out) compared with the decode
    from the beginning. Raises VideoError.
    """
    with open_stream(path) as (container, stream):
        scan = _scan_packets(container, stream)
    if not scan.pts:
        raise VideoError(f"{path}: {_reason_no_frame(path, 0)}")
    order = None if count or scan.may_change_size or scan.codec in ALWAYS_COUNTED else _derive(scan)
    if order is not None:
        return _index(scan, scan.head[0], order, None)
    counted = _count_frames(path)
    if counted.first is None:
        raise VideoError(f"{path}: {_reason_no_frame(path, len(scan.pts))}")
    # H.264 marks what damage touched, so that the reader sees it; other damaged streams are read from the beginning
    order = _pair_by_pts(scan, counted) if scan.codec == "h264" or not counted.errors else None
    index = _index(scan, counted.first, order, counted)
    if index.facts.can_seek and not _entries_hold(path, index, counted.checksums):
        return replace(index, facts=replace(index.facts, can_seek=False))
    return index


def _index(scan: _Scan, first: Any, order: np.ndarray | None, counted: _Count | None) -> PacketIndex:
    """Put together what was found; `order` None: frames are only counted."""
    pts = np.array(scan.pts, np.int64)
    times = pts[order] * scan.seconds_per_tick if order is not None else np.empty(0)
    has_times = len(times) > 0 and bool(np.all(np.diff(times) > 0))  # MPEG-4 in AVI comes with disordered ones
    fps, constant, seconds = rate_of(times if has_times else np.empty(0), scan.stated_fps)
    frame_packet = order if order is not None else np.full(len(counted.pts) if counted else 0, -1, np.int32)
    turns, mirrored = orientation(first)
    facts = StreamFacts(
        codec=scan.codec,
        width=first.width,
        height=first.height,
        quarter_turns=turns,
        mirrored=mirrored,
        pixel_aspect=scan.pixel_aspect,
        fps=fps,
        is_constant_rate=constant,
        duration_seconds=seconds if has_times else len(frame_packet) / fps,
        seconds_per_tick=scan.seconds_per_tick if has_times else 0.0,
        header_frames=scan.header_frames,
        header_seconds=scan.header_seconds,
        is_counted=counted is not None,
        can_seek=order is not None,
        num_errors=len(counted.errors) if counted else 0,
        other_sizes=tuple(counted.sizes) if counted else (),
    )
    return PacketIndex(facts, pts, np.array(scan.size, np.int32), np.array(scan.flags, np.uint8), frame_packet)


def _scan_packets(container: Any, stream: Any) -> _Scan:
    context = stream.codec_context
    codec = context.codec.canonical_name
    rate = stream.average_rate or stream.base_rate or 0
    scan = _Scan(
        codec,
        float(stream.time_base or 0),
        float(rate),
        stream.frames,
        _announced_seconds(container, stream),
        pixel_aspect_of(stream),
    )
    points = EntryPoints(codec, context.extradata)
    sizes = SizeWatch(codec, points.length_bytes)
    for packet in packets_of(container, stream):
        flags = DISPOSABLE * packet.is_disposable | DISCARD * packet.is_discard | CORRUPT * packet.is_corrupt
        if packet.is_keyframe:
            content = bytes(packet)
            flags |= KEY | ENTRY * points.accepts(content, is_first=not scan.pts)
            sizes.take(content, bool(scan.pts) and packet.has_sidedata("new_extradata"))
        scan.pts.append(NO_PTS if packet.pts is None else packet.pts)
        scan.size.append(packet.size)
        scan.flags.append(flags)
        if len(scan.head) < HEAD_FRAMES and len(scan.pts) <= HEAD_PACKETS:
            scan.head += _tolerant(context, packet)
    if len(scan.head) < HEAD_FRAMES:
        scan.head += _tolerant(context, None)
    scan.may_change_size = sizes.has_changed
    return scan


def _announced_seconds(container: Any, stream: Any) -> float:
    """The header's duration where it was written at the end of recording, and not estimated from the file's size."""
    if not any(name in container.format.name for name in ("matroska", "asf")):
        return 0.0
    clock = re.fullmatch(r"(\d+):(\d+):(\d+\.\d+)", stream.metadata.get("DURATION", ""))
    if clock:
        hours, minutes, seconds = map(float, clock.groups())
        return 3600 * hours + 60 * minutes + seconds
    is_alone = len(container.streams) == 1  # otherwise the sound may be the longer one
    return (container.duration or 0) / 1e6 if is_alone else 0.0


def _tolerant(context: Any, packet: Any | None) -> Iterable[Any]:
    try:
        return list(context.decode(packet))
    except FFMPEG_ERRORS:
        return []


def _derive(scan: _Scan) -> np.ndarray | None:
    """The packet of each frame by time stamps alone, or None where something asks for a full decode."""
    pts, flags = np.array(scan.pts, np.int64), np.array(scan.flags, np.uint8)
    if not scan.head or any(frame.is_corrupt for frame in scan.head):
        return None
    if (pts == NO_PTS).any() or len(np.unique(pts)) < len(pts) or (flags & CORRUPT).any() or not flags[0] & ENTRY:
        return None
    order = np.argsort(pts)
    order = order[(flags[order] & DISCARD) == 0].astype(np.int32)
    promised = pts[order][:HEAD_FRAMES].tolist()
    if [frame.pts for frame in scan.head][: len(promised)] != promised or _has_holes(pts[order]):
        return None
    return order


def _has_holes(pts: np.ndarray) -> bool:
    """Whether a steady stream has a few gaps or overlaps: packets may be lost, and then others fail to decode."""
    gaps = np.diff(pts)
    if not len(gaps):
        return False
    median = np.median(gaps)
    odd = np.abs(gaps - median) > np.maximum(0.25 * median, 1)
    return bool(0 < odd.mean() < 0.1)


def _count_frames(path: str) -> _Count:
    counted = _Count()
    size = None
    with open_stream(path) as (container, stream):
        for frame in all_frames(container, stream, counted.errors):
            counted.first = counted.first or frame
            if size not in (None, (frame.width, frame.height)):
                counted.sizes.append((len(counted.pts), frame.width, frame.height))
            size = frame.width, frame.height
            counted.pts.append(frame.pts)
            counted.checksums.append(checksum(frame))
    return counted


def _pair_by_pts(scan: _Scan, counted: _Count) -> np.ndarray | None:
    """The packet of each counted frame, or None where time stamps do not tell frames or packets apart."""
    packet_of: dict[int | None, int] = {}
    for number, pts in enumerate(scan.pts):
        packet_of[pts] = -1 if pts in packet_of or pts == NO_PTS else number
    order = [packet_of.get(pts, -1) for pts in counted.pts]
    if -1 in order or len(set(order)) < len(order):
        return None
    return np.array(order, np.int32)


def _entries_hold(path: str, index: PacketIndex, checksums: list[int]) -> bool:
    """Whether decoding from the entry points gives the very frames that decoding from the beginning gave."""
    packets, frames = index.entries
    if len(packets) < 2:  # the first one is the beginning itself
        return True
    chosen = np.unique(np.linspace(1, len(packets) - 1, VERIFIED_ENTRIES).round().astype(int))
    with open_stream(path) as (container, stream):
        for place in chosen:
            wanted = np.arange(frames[place], min(frames[place] + VERIFIED_FRAMES, index.num_frames))
            try:
                for number, frame in decode_frames(container, stream, index, int(packets[place]), wanted):
                    if checksum(frame) != checksums[number]:
                        return False
            except StreamMismatch:
                continue  # the reader falls back by itself there
    return True


def checksum(frame: Any) -> int:
    """CRC-32 of the frame's first plane, without the padding at the end of its rows."""
    plane = frame.planes[0]
    row = plane.width * (2 if frame.format.components[0].bits > 8 else 1)
    return zlib.crc32(plane_rows(plane)[:, :row].tobytes())


def orientation(frame: Any) -> tuple[int, bool]:
    """`(clockwise quarter turns, mirrored first)` from the display matrix; other angles than quarters are left out."""
    for data in _display_matrices(frame):
        a, b, _, c, d = np.frombuffer(bytes(data), "<i4")[:5]
        if a == d == 0 and b and c:
            mirrored = (b > 0) == (c > 0)
            return (1 if c < 0 else 3), bool(mirrored)
        if b == c == 0 and a and d:
            mirrored = (a > 0) != (d > 0)
            return (0 if d > 0 else 2), bool(mirrored)
    return 0, False


def _display_matrices(frame: Any) -> Iterator[Any]:
    yield from (data for data in frame.side_data if data.type.name == "DISPLAYMATRIX")


def _reason_no_frame(path: str, num_packets: int) -> str:
    if looks_encrypted(path):
        return "encrypted (it carries MP4 encryption boxes), no frame decodes; decrypt it first"
    if not num_packets:
        return "a video stream without a single frame (a header alone, or cut off); convert or download it again"
    return f"no frame decodes from its {num_packets} packets (damaged); convert or download it again"
