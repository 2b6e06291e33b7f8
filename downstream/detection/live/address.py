"""What a live input is, by its address: how FFmpeg may open it, and how it is written where people read it."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from typing import Literal

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
_SECRET = re.compile(r"(pass|pwd|psw|token|key|secret|auth|sig|user|usr|login)", re.IGNORECASE)
_MASK = "***"


@dataclass(frozen=True)
class Address:
    """An input as FFmpeg takes it."""

    url: str = field(repr=False)
    """As given, with the password: not for printing."""
    label: str
    """The same with user, password and tokens masked: for everything that is printed or stored."""
    kind: Kind
    format: str | None
    """FFmpeg's name of the input format where it cannot guess it (devices)."""
    options: dict[str, str]


def parse_address(text: str, rtsp_transport: str = "tcp") -> Address:
    """The address of a file, a device or a stream. UserError: an unknown protocol, a folder.

    Whether a file exists, or anybody answers, shows when it is opened.
    """
    scheme, separator, _ = text.partition("://")
    if not separator:
        return _on_this_machine(text)
    scheme = scheme.lower()
    if scheme not in _PROTOCOLS:
        known = ", ".join(f"{name}://" for name in _PROTOCOLS)
        raise UserError(
            f"{masked(text)}: no input of the protocol {scheme}://{nearest(scheme, _PROTOCOLS)}; there are {known}, "
            "a device like /dev/video0, and the path of a file"
        )
    options = {"protocol_whitelist": _PROTOCOLS[scheme], **_ANALYSIS}
    if scheme in ("rtsp", "rtsps"):
        options["rtsp_transport"] = rtsp_transport  # tcp: lost packets come again instead of grey smears
    return Address(text, masked(text), "http" if scheme.startswith("http") else "stream", None, options)


def _on_this_machine(path: str) -> Address:
    if os.path.isdir(path):
        raise UserError(f"{path}: a folder; as a live input give a stream's address, a device or one video file")
    if os.path.exists(path) and stat.S_ISCHR(os.stat(path).st_mode):
        return Address(path, path, "device", "video4linux2", {"protocol_whitelist": "file"})
    return Address(path, path, "file", None, {})


def masked(url: str) -> str:
    """The address without user, password and what looks like a secret in its query."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    # a password that holds a slash breaks the address in two; it is no reason to print it
    is_broken = "@" not in authority and "@" in rest and bool(re.search(r":[^\]]*[^\d\]][^\]]*$", authority))
    cut = rest.rfind("@") if is_broken else authority.rfind("@")
    host = rest if cut < 0 else f"{_MASK}{rest[cut:]}"
    path, question, query = host.partition("?")
    return f"{scheme}://{path}{question}{'&'.join(_masked_pair(pair) for pair in query.split('&'))}"


def _masked_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={_MASK}" if equals and _SECRET.search(name) else pair
