"""Addresses: what is opened how, and that no password is ever printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from downstream.detection.live.address import parse_address
from pretrain.errors import UserError


@pytest.mark.parametrize(
    ("given", "opened"),
    [
        ("RTSP://admin:Secret@Cam:554/Ch1", "rtsp://admin:Secret@Cam:554/Ch1"),
        ("  HTTP://cam/v?a=B \n", "http://cam/v?a=B"),
        ("Udp://239.0.0.1:1234", "udp://239.0.0.1:1234"),
    ],
)
def test_a_scheme_in_capitals_is_opened_like_any(given: str, opened: str) -> None:
    address = parse_address(given)
    assert address.url == opened
    assert "protocol_whitelist" in address.options
    assert address.kind in ("http", "stream")


@pytest.mark.parametrize("url", ["rtsp://u:secret@cam/1", "http://u:secret@cam/1", "udp://u:secret@cam:1"])
def test_what_is_opened_is_not_what_is_printed(url: str) -> None:
    address = parse_address(url)
    assert address.url == url
    assert "secret" not in f"{address} {address!r} {address.label}"


def test_no_stream_may_open_files() -> None:
    for scheme in ("http", "https", "rtsp", "rtsps", "tcp", "udp"):
        allowed = parse_address(f"{scheme}://cam/1").options["protocol_whitelist"].split(",")
        assert not {"file", "concat", "subfile", "data", "pipe", "fd"} & set(allowed)
    assert parse_address("rtsp://cam/1").options["rtsp_transport"] == "tcp"
    assert parse_address("rtsp://cam/1", "udp").options["rtsp_transport"] == "udp"


def test_other_protocols_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rstp://cam: no input of the protocol rstp://; did you mean 'rtsp'\?"):
        parse_address("rstp://u:secret@cam")
    with pytest.raises(UserError, match="a folder; as a live input give a stream's address, a device or one video"):
        parse_address(str(tmp_path))
    assert parse_address("/dev/null").kind == "device"
    assert parse_address("nowhere.mp4").kind == "file"
