"""Addresses: what is opened how, and that no password is ever printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from downstream.detection.live.address import masked, parse_address
from pretrain.errors import UserError


@pytest.mark.parametrize(
    ("url", "printed"),
    [
        ("rtsp://10.0.0.7:554/ch1", "rtsp://10.0.0.7:554/ch1"),
        ("rtsp://admin:secret@10.0.0.7:554/ch1", "rtsp://***@10.0.0.7:554/ch1"),
        ("rtsp://admin:se@cr@et@cam/ch1", "rtsp://***@cam/ch1"),
        ("rtsp://admin:se/cret@cam/ch1", "rtsp://***@cam/ch1"),
        ("rtsp://[fe80::1]:554/a@2x", "rtsp://[fe80::1]:554/a@2x"),
        ("http://cam/v?size=2&user=admin&Password=secret", "http://cam/v?size=2&user=***&Password=***"),
        ("https://cam/v?access_token=secret", "https://cam/v?access_token=***"),
        ("videos/a.mp4", "videos/a.mp4"),
    ],
)
def test_logins_are_masked(url: str, printed: str) -> None:
    assert masked(url) == printed


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
    with pytest.raises(UserError, match=r"rstp://\*\*\*@cam: no input of the protocol rstp://; did you mean 'rtsp'\?"):
        parse_address("rstp://u:secret@cam")
    with pytest.raises(UserError, match="a folder; as a live input give a stream's address, a device or one video"):
        parse_address(str(tmp_path))
    assert parse_address("/dev/null").kind == "device"
    assert parse_address("nowhere.mp4").kind == "file"
