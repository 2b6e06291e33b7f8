"""Decoding chosen frames from an entry point, each one identified, never counted blindly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import av
import numpy as np

from pretrain.data.video.container import FFMPEG_ERRORS
from pretrain.data.video.packet_index import PacketIndex

SKIPPABLE = frozenset({"h264"})
"""Codecs in which FFmpeg's `skip_frame=NONREF` leaves out exactly what no other picture refers to (`nal_ref_idc` 0).
Not HEVC: there a picture may be free of references within its own temporal layer only."""
MAX_SKIPPED_PACKETS = 512


class StreamMismatch(Exception):
    """The stream did not come back as the index says: decode from the beginning instead."""


class StreamDamaged(Exception):
    """A packet did not decode cleanly, and the index was derived without decoding: the frames must be counted."""


def packets_of(container: Any, stream: Any) -> Iterator[Any]:
    """The stream's packets that hold data; a read error ends the stream, as it does for FFmpeg's own tools."""
    # closed by hand: PyAV 18 loses 3.5 kB for every demuxer that is dropped before its end (measured)
    with closing(container.demux(stream)) as packets:
        while True:
            try:
                packet = next(packets)
            except (StopIteration, *FFMPEG_ERRORS):
                return
            if packet.size:
                yield packet


def decode_frames(
    container: Any, stream: Any, index: PacketIndex, entry: int, frames: np.ndarray
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yield `(frame number, decoded frame)` for each of `frames` (increasing), decoding from packet `entry` on.

    `entry` 0 takes the container as it is: freshly opened. Raises StreamMismatch (only for other entries) and
    StreamDamaged; ends early when the stream does.
    """
    if not index.facts.can_seek:
        yield from _by_counting(container, stream, frames)
        return
    packets = packets_of(container, stream) if entry == 0 else _packets_from(container, stream, index, entry)
    number_of = dict(zip(index.pts[index.frame_packet[frames]].tolist(), frames.tolist(), strict=True))
    last = -1
    for frame in feed_packets(stream.codec_context, packets, index, entry, frames):
        number = number_of.pop(frame.pts, -1)
        if number < 0:
            continue
        if number < last:
            raise StreamMismatch if entry else StreamDamaged
        last = number
        yield number, frame
        if not number_of:
            return
    if entry:
        raise StreamMismatch


def feed_packets(
    context: Any, packets: Iterator[Any], index: PacketIndex, entry: int, frames: np.ndarray
) -> Iterator[Any]:
    """All frames that come out when the packets from `entry` on are fed; checks each packet against the index."""
    expected_pts, expected_size = index.pts.data, index.size.data  # plain integers without a list of them all
    num_packets = len(expected_pts)
    wanted = set(index.frame_packet[frames].tolist())
    can_skip = index.facts.codec in SKIPPABLE and not index.facts.num_errors
    skipping = False
    context.skip_frame = "DEFAULT"
    for number, packet in enumerate(packets, start=entry):
        if number == num_packets:
            break
        if packet.size != expected_size[number] or packet.pts != expected_pts[number]:
            if entry:
                raise StreamMismatch
            if packet.pts is not None:
                raise StreamDamaged
        if can_skip and skipping == (number in wanted):
            skipping = not skipping
            context.skip_frame = "NONREF" if skipping else "DEFAULT"
        yield from _feed(context, packet, index, entry)
    yield from _feed(context, None, index, entry)


def _feed(context: Any, packet: Any | None, index: PacketIndex, entry: int) -> Sequence[Any]:
    """The frames that one packet (None: the end) brings out. Damage is only taken from the beginning, when counted."""
    try:
        decoded = context.decode(packet)
    except FFMPEG_ERRORS:
        _object_to_damage(index, entry)
        return ()
    for frame in decoded:
        if frame.is_corrupt:
            _object_to_damage(index, entry)
    return decoded


def _object_to_damage(index: PacketIndex, entry: int) -> None:
    if not index.facts.is_counted:
        raise StreamDamaged
    if entry:  # what a decoder makes of damage depends on what it saw before
        raise StreamMismatch


def _by_counting(container: Any, stream: Any, frames: np.ndarray) -> Iterator[tuple[int, av.VideoFrame]]:
    wanted = set(frames.tolist())
    for number, frame in enumerate(all_frames(container, stream, [])):
        if number in wanted:
            wanted.remove(number)
            yield number, frame
            if not wanted:
                return


def all_frames(container: Any, stream: Any, errors: list[str]) -> Iterator[av.VideoFrame]:
    """Decode from the beginning to the end; what does not decode is noted in `errors` and passed over."""
    for packet in _with_end(packets_of(container, stream)):
        try:
            decoded = stream.codec_context.decode(packet)
        except FFMPEG_ERRORS as error:
            errors.append(str(error))
            continue
        for frame in decoded:
            if frame.is_corrupt:
                errors.append(f"corrupt frame at pts {frame.pts}")
            yield frame


def _with_end(packets: Iterator[Any]) -> Iterator[Any | None]:
    yield from packets
    yield None


def _packets_from(container: Any, stream: Any, index: PacketIndex, entry: int) -> Iterator[Any]:
    """Seek, then the packets from `entry` on. Landing before it is walked over, landing after it is tried again."""
    pts, size = int(index.pts[entry]), int(index.size[entry])
    target = pts
    for _ in range(3):
        try:
            container.seek(target, stream=stream)
        except FFMPEG_ERRORS as error:
            raise StreamMismatch from error
        packets = packets_of(container, stream)
        for _, packet in zip(range(MAX_SKIPPED_PACKETS), packets, strict=False):
            if packet.pts == pts and packet.size == size:
                return _chain(packet, packets)
            if packet.pts is not None and packet.pts > pts and packet.is_keyframe:
                break  # landed too late
        earlier = index.entries[0][index.entries[0] < entry]
        if not len(earlier):
            break
        target = int(index.pts[earlier[-1]])
    raise StreamMismatch


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def plane_rows(plane: Any) -> np.ndarray:
    """A view of one plane's bytes: uint8 (rows, bytes per row with their padding)."""
    pixels = np.frombuffer(memoryview(plane), np.uint8)
    return pixels[: plane.height * plane.line_size].reshape(plane.height, plane.line_size)
