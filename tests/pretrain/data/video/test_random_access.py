from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.data.video.random_access import EntryPoints, has_exact_recovery_point, units

IDR, SLICE, SPS = b"\x65\x88\x80\x10", b"\x41\x9a\x00\x10", b"\x67\x64\x00\x0a"
AVCC = b"\x01\x64\x00\x0a\xff"


def recovery_point(frame_count_is_zero: bool, exact: bool) -> bytes:
    bits = 0b1000_0000 if frame_count_is_zero else 0b0100_0000
    if exact and frame_count_is_zero:
        bits |= 0b0100_0000
    return b"\x06\x06\x01" + bytes([bits]) + b"\x80"


def prefixed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def coded(*parts: bytes) -> bytes:
    return b"".join(b"\x00\x00\x01" + part for part in parts)


@pytest.mark.parametrize(("extradata", "pack"), [(AVCC, prefixed), (None, coded)])
def test_h264_entry_points(extradata: bytes | None, pack: object) -> None:
    assert callable(pack)
    points = EntryPoints("h264", extradata)
    assert points.accepts(pack(IDR), is_first=True)
    assert points.accepts(pack(recovery_point(True, True), SLICE), is_first=False)
    assert not points.accepts(pack(recovery_point(True, False), SLICE), is_first=False)
    assert not points.accepts(pack(recovery_point(False, True), SLICE), is_first=False)
    assert not points.accepts(pack(SLICE), is_first=False)
    assert not points.accepts(b"", is_first=False)


def test_repeated_parameter_sets_are_asked_for() -> None:
    points = EntryPoints("h264", None)
    assert points.accepts(coded(SPS, IDR), is_first=True)
    assert not points.accepts(coded(IDR), is_first=False)
    assert points.accepts(coded(SPS, IDR), is_first=False)


@pytest.mark.parametrize(("kind", "expected"), [(19, True), (20, True), (21, True), (16, True), (1, False), (9, False)])
def test_hevc_entry_points(kind: int, expected: bool) -> None:
    assert EntryPoints("hevc", None).accepts(coded(bytes([kind << 1, 1, 0x80])), is_first=True) is expected


def test_other_codecs() -> None:
    assert EntryPoints("mpeg2video", None).accepts(b"anything", is_first=False)
    assert EntryPoints("gif", None).accepts(b"anything", is_first=True)
    assert not EntryPoints("gif", None).accepts(b"anything", is_first=False)


def test_a_recovery_point_after_another_message_is_found() -> None:
    other = b"\x05\x03abc"
    assert has_exact_recovery_point(other + b"\x06\x01\xc0\x80")
    assert not has_exact_recovery_point(other)


@given(st.binary(max_size=200), st.sampled_from([0, 1, 2, 4]))
def test_units_of_any_bytes_never_fail(packet: bytes, length_bytes: int) -> None:
    assert all(0 < len(unit) <= 4096 or length_bytes == 0 for unit in units(packet, length_bytes))
    EntryPoints("h264", None).accepts(packet, is_first=True)
    EntryPoints("hevc", AVCC * 6).accepts(packet, is_first=False)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8))
def test_length_prefixed_units_come_back(parts: list[bytes]) -> None:
    assert list(units(prefixed(*parts), 4)) == parts
