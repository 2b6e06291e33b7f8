"""Where decoding may begin: which packets give exact frames when nothing before them was decoded.

A container's keyframe flag promises a picture that *starts* well, not that it is bit for bit what a decode from the
beginning gives. For H.264 and HEVC the bitstream says which it is, so keyframe packets are looked into. Packets of
other codecs in `TRUSTED_CODECS` reset the decoder at a keyframe by definition. Whatever is not named here (animated
GIF, intra refresh, ...) is decoded from its beginning: slower, never wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

TRUSTED_CODECS = frozenset(
    {"mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2", "h263", "flv1"}
    | {"vp8", "vp9", "av1", "mjpeg", "prores", "dnxhd", "ffv1", "huffyuv", "ffvhuff", "rawvideo", "png"}
)

H264_IDR, H264_SEI, H264_PARAMETER_SETS = 5, 6, (7, 8)
HEVC_RANDOM_ACCESS = range(16, 22)  # BLA, IDR and CRA pictures
HEVC_PARAMETER_SETS = (32, 33, 34)
_RECOVERY_POINT = 6


class EntryPoints:
    """Tells for one stream's keyframe packets whether they are exact entry points.

    `extradata` is the stream's configuration record (or parameter sets), as the container stores it.
    """

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        self.codec = codec
        record = extradata or b""
        position = {"h264": 4, "hevc": 21}.get(codec, 0)
        is_record = len(record) > position and record[0] == 1
        self.length_bytes = (record[position] & 3) + 1 if is_record else 0  # 0: start codes
        self._parameters_in_band = False

    def accepts(self, packet: bytes, is_first: bool) -> bool:
        """Whether decoding may begin at this keyframe packet.

        Where the stream repeats its parameter sets in the first keyframe, later ones count only with theirs: they
        may have changed in between.
        """
        if self.codec in TRUSTED_CODECS:
            return True
        if self.codec not in ("h264", "hevc"):
            return is_first
        exact, has_parameters = self._h264(packet) if self.codec == "h264" else self._hevc(packet)
        if is_first:
            self._parameters_in_band = has_parameters
        return exact and (has_parameters or not self._parameters_in_band)

    def _h264(self, packet: bytes) -> tuple[bool, bool]:
        exact = has_parameters = False
        for unit in units(packet, self.length_bytes):
            kind = unit[0] & 31
            if kind in H264_PARAMETER_SETS:
                has_parameters = True
            elif kind == H264_SEI:
                exact = exact or has_exact_recovery_point(unit[1:512])
            elif 1 <= kind <= H264_IDR:
                return exact or kind == H264_IDR, has_parameters
        return False, has_parameters

    def _hevc(self, packet: bytes) -> tuple[bool, bool]:
        has_parameters = False
        for unit in units(packet, self.length_bytes):
            kind = (unit[0] >> 1) & 63
            if kind in HEVC_PARAMETER_SETS:
                has_parameters = True
            elif kind < 32:
                return kind in HEVC_RANDOM_ACCESS, has_parameters
        return False, has_parameters


def units(packet: bytes, length_bytes: int) -> Iterator[bytes]:
    """The NAL units of a packet, each at most its first 4096 bytes: length-prefixed, or start codes when 0."""
    if length_bytes:
        at = 0
        while at + length_bytes < len(packet):
            size = int.from_bytes(packet[at : at + length_bytes], "big")
            at += length_bytes
            if size:
                yield packet[at : at + min(size, 4096)]
            at += size
        return
    at = packet.find(b"\x00\x00\x01")
    while 0 <= at < len(packet) - 3:
        end = packet.find(b"\x00\x00\x01", at + 3)
        yield packet[at + 3 : min(end if end >= 0 else len(packet), at + 3 + 4096)]
        at = end


def has_exact_recovery_point(sei: bytes) -> bool:
    """Whether an H.264 SEI payload says: from this very picture on, output is exact (recovery_frame_cnt 0)."""
    payload = sei.replace(b"\x00\x00\x03", b"\x00\x00")
    at = 0
    while at + 2 < len(payload):
        kind, at = _varying(payload, at)
        size, at = _varying(payload, at)
        if kind == _RECOVERY_POINT and at < len(payload):
            # ue(0) is the single bit 1; then exact_match_flag; then broken_link_flag
            return payload[at] & 0b1110_0000 == 0b1100_0000
        at += size
    return False


def _varying(payload: bytes, at: int) -> tuple[int, int]:
    value = 0
    while at < len(payload) and payload[at] == 255:
        value, at = value + 255, at + 1
    return value + (payload[at] if at < len(payload) else 0), at + 1
