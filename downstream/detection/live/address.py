"""What a live input is, by its address: how FFmpeg may open it, and how it is written where people read it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import Literal

from pretrain.addresses import URL, address_label, shown
from pretrain.errors import UserError, nearest

Kind = Literal["file", "device", "http", "stream"]

_PROTOCOLS = {
    "http": "http,https,tls,tcp,crypto",
    "https": "http,https,tls,tcp,crypto",
    "rtsp": "rtsp,rtp,tls,tcp,udp",
    "rtsps": "rtsp,rtp,tls,tcp,udp",
    "tcp": "tcp",
    "udp": "udp",
}
"""What FFmpeg may open on behalf of an address: never a file of ours, whatever a playlist from outside asks for."""
_ANALYSIS = {"analyzeduration": "1500000"}
"""Microseconds of a stream that FFmpeg looks at before the first frame comes out; they are not lost. Its `nobuffer`
would throw them away, and the first key frame with them."""


@dataclass(frozen=True)
class Address:
    """An input as FFmpeg takes it."""

    url: str = field(repr=False)
    """With the password: not for printing. The scheme is in small letters, which FFmpeg alone knows."""
    label: str
    """Its known-safe parts (`pretrain.addresses`): for everything that is printed or stored."""
    kind: Kind
    format: str | None
    """FFmpeg's name of the input format where it cannot guess it (devices)."""
    options: dict[str, str]


def parse_address(text: str, rtsp_transport: str = "tcp") -> Address:
    """The address of a file, a device or a stream. UserError: an unknown protocol, a folder.

    Whether a file exists, or anybody answers, shows when it is opened.
    """
    match = URL.match(text)
    if match is None:
        return _on_this_machine(text)
    scheme = match[1].lower()
    if scheme not in _PROTOCOLS:
        known = ", ".join(f"{name}://" for name in _PROTOCOLS)
        raise UserError(
            f"{address_label(text)}: no input of the protocol {scheme}://{nearest(scheme, _PROTOCOLS)}; there are "
            f"{known}, a device like /dev/video0, and the path of a file"
        )
    options = {"protocol_whitelist": _PROTOCOLS[scheme], **_ANALYSIS}
    if scheme in ("rtsp", "rtsps"):
        options["rtsp_transport"] = rtsp_transport  # tcp: lost packets come again instead of grey smears
    url = f"{scheme}://{text[match.end() :].rstrip()}"
    return Address(url, address_label(text), "http" if scheme.startswith("http") else "stream", None, options)


def _on_this_machine(path: str) -> Address:
    if os.path.isdir(path):
        raise UserError(f"{shown(path)}: a folder; as a live input give a stream's address, a device or one video file")
    if os.path.exists(path) and stat.S_ISCHR(os.stat(path).st_mode):
        return Address(path, shown(path), "device", "video4linux2", {"protocol_whitelist": "file"})
    return Address(path, shown(path), "file", None, {})
