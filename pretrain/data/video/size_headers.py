"""Where a keyframe's packet says how large its picture is: bytes that change where a recording changes its size.

Recorders change the size of the picture in the middle of a file: another profile by night, a camera set anew, two
recordings joined. Packets alone show it, so an index made without decoding compares these bytes from keyframe to
keyframe; where they differ, frames are counted by decoding, and each one's size is known.
"""

from __future__ import annotations

from collections.abc import Iterator

from pretrain.data.video.random_access import units

H264_PARAMETERS, HEVC_PARAMETERS = 7, 33
"""Kinds of the units with the sequence's parameters, its size among them."""
MPEG_SEQUENCE = {"mpeg1video": b"\x00\x00\x01\xb3", "mpeg2video": b"\x00\x00\x01\xb3"}
JPEG_FRAMES = (0xC0, 0xC1, 0xC2)
AV1_SEQUENCE = 1
SEARCHED = 4096
"""Bytes of a packet in which a header is looked for."""


def size_header(codec: str, packet: bytes, length_bytes: int) -> bytes:
    """The bytes of a keyframe's packet that hold its size; empty where it does not say, or the codec is not known.

    `length_bytes`: of the lengths before H.264's and HEVC's units, 0 where start codes part them.
    """
    if codec in ("h264", "hevc"):
        return b"".join(_parameter_sets(codec, packet, length_bytes))
    if codec in MPEG_SEQUENCE:
        at = packet.find(MPEG_SEQUENCE[codec], 0, SEARCHED)
        return packet[at + 4 : at + 8] if at >= 0 else b""  # width, height, shape of pixels
    if codec == "vp8":
        return packet[6:10] if packet[3:6] == b"\x9d\x01\x2a" else b""
    if codec == "vp9":
        at = packet.find(b"\x49\x83\x42", 0, 8)
        # 4 bits of colour, then 16 of the width and 16 of the height; what follows may differ
        return (int.from_bytes(packet[at + 3 : at + 8], "big") >> 4).to_bytes(5, "big") if at >= 0 else b""
    if codec == "av1":
        return _av1_sequence(packet)
    if codec == "mjpeg":
        return _jpeg_size(packet)
    return packet[16:24] if codec == "png" else b""


def _parameter_sets(codec: str, packet: bytes, length_bytes: int) -> Iterator[bytes]:
    for unit in units(packet, length_bytes):
        kind = unit[0] & 31 if codec == "h264" else (unit[0] >> 1) & 63
        if kind == (H264_PARAMETERS if codec == "h264" else HEVC_PARAMETERS):
            yield unit.rstrip(b"\x00")
        elif kind in (range(1, 6) if codec == "h264" else range(32)):
            return  # pictures: parameters come before them


def _jpeg_size(packet: bytes) -> bytes:
    at = 2
    while at + 9 <= len(packet) and packet[at] == 0xFF:
        if packet[at + 1] in JPEG_FRAMES:
            return packet[at + 5 : at + 9]
        at += 2 + int.from_bytes(packet[at + 2 : at + 4], "big")
    return b""


def _av1_sequence(packet: bytes) -> bytes:
    at = 0
    while at + 2 <= len(packet):
        kind, has_extension, has_size = packet[at] >> 3 & 15, packet[at] >> 2 & 1, packet[at] >> 1 & 1
        at += 1 + has_extension
        size = shift = 0
        while has_size and at < len(packet):
            size |= (packet[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if packet[at - 1] < 128:
                break
        if not has_size:
            size = len(packet) - at
        if kind == AV1_SEQUENCE:
            return packet[at : at + size]
        at += size
    return b""


class SizeWatch:
    """Notices over a stream's keyframe packets that the size of its picture may change."""

    def __init__(self, codec: str, length_bytes: int) -> None:
        self._codec, self._length_bytes = codec, length_bytes
        self._last = b""
        self.has_changed = False

    def take(self, packet: bytes, has_new_parameters: bool) -> None:
        """The next keyframe; `has_new_parameters`: its container gives the decoder others from here on."""
        found = size_header(self._codec, packet, self._length_bytes)
        self.has_changed |= has_new_parameters or bool(found and self._last and found != self._last)
        self._last = found or self._last
