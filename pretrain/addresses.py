"""Addresses of cameras and web services as they may be shown: known-safe parts alone, never secrets masked one by one.

    rtsp://admin:secret@camera.local:554/ch1?token=x    rtsp://camera.local:554/~3fa2b1
    https://example.org/services/T0/B1/secret           https://example.org/~90c1de
    rtsp:/admin:secret@camera.local                     rtsp:~c0ffee (not written like an address)

What follows `~` tells addresses apart and says nothing of them: six digits of a slow hash. The login is not in it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

Config = TypeVar("Config")

URL = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]+)://")
"""Begins an address that is written like one. A single letter is a drive."""
_KNOWN_SCHEMES = ("rtsps", "rtsp", "https", "http", "rtmps", "rtmp", "tcp", "udp", "rtp", "srt", "ftp")
_HOST = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?")
_LABEL = re.compile(rf"({_HOST.pattern}/)?~[0-9a-f]{{6}}")
_OPEN = re.compile(r"(?:s3a?|gs|gcs|az|abfss?|memory|file|local|hf|hdfs)://[^@?\\]*", re.IGNORECASE)
"""Stores whose addresses say bucket and name alone: logins come from elsewhere. Not one with a sign of a login."""
_SIGNS = re.compile(r"[@?&=;#\\]|[A-Za-z]{2,}\s*:|:\s*/|\d:\d|^\s*//|^\s*[\w-]+(\.[\w-]+)+(:\d+)?/")
"""What an address has, well written or not, and the paths of files seldom have."""
_ROUNDS = 100_000
_SHORTEST = 8
"""Shorter parts of an address stand in other words too, and a gap in these would tell them: they are not looked for."""


@lru_cache(maxsize=1024)
def address_label(text: str) -> str:
    """How an address is written where people read it: scheme, host, port, and a short hash of the rest.

    A host is shown only where nothing but a host can stand there. A label is its own label.
    """
    match = URL.match(text)
    if match is None:
        return f"{_scheme_of(text)}~{_digest(text)}"
    scheme, rest = match[1].lower(), text[match.end() :].rstrip()
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    beyond = rest[len(authority) :]
    host = _host_of(authority, beyond)
    if _LABEL.fullmatch(rest):
        return f"{scheme}://{rest}"
    if host is None:
        return f"{scheme}://~{_digest(rest)}"
    return f"{scheme}://{host}" + (f"/~{_digest(beyond)}" if beyond not in ("", "/") else "")


def _host_of(authority: str, beyond: str) -> str | None:
    """Host and port, or None: a password that holds a slash, say, ends in the wrong place."""
    login, _, place = authority.rpartition("@")
    match = _HOST.fullmatch(place)
    if match is None or "@" in beyond or any(sign.isspace() for sign in authority) or int(match[2] or 0) > 65535:
        return None
    # `admin:1234` whose host was forgotten looks like a host and its port
    is_certain = bool(login) or "." in match[1] or match[1][0] == "[" or match[1] == "localhost"
    return place if is_certain or match[2] is None else match[1]


def _scheme_of(text: str) -> str:
    begin = text.strip().lower()
    known = next((scheme for scheme in _KNOWN_SCHEMES if re.match(rf"{scheme}(?![a-z0-9])", begin)), None)
    return "address" if known is None else f"{known}:"


@lru_cache(maxsize=1024)
def _digest(text: str) -> str:
    # slow, and short: whoever guesses passwords learns next to nothing from it
    return hashlib.pbkdf2_hmac("sha256", text.encode("utf-8", "surrogatepass"), b"address", _ROUNDS).hex()[:6]


def may_be_address(text: str) -> bool:
    """Whether a text may be an address, with a secret in it: it names nothing on this machine, and looks like one."""
    if URL.match(text):
        return not is_open_address(text)
    return bool(_SIGNS.search(text) or text[:1].isspace()) and not _exists(text)


def is_open_address(text: str) -> bool:
    """Whether it is an address of a store of files in which nothing secret can stand: `s3://bucket/videos`."""
    return _OPEN.fullmatch(text) is not None


def shown(text: str) -> str:
    """A path as it is; what may be an address by its label."""
    return address_label(text) if may_be_address(text) else text


def _exists(text: str) -> bool:
    try:
        return os.path.lexists(text)
    except ValueError:  # a NUL in it
        return False


class Concealed:
    """Addresses that a command was given: labels for them while flags are read, and what is said of them later."""

    def __init__(self) -> None:
        self._labels: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._labels)

    def forget(self) -> None:
        """Another command begins."""
        self._labels.clear()

    def arguments(self, given: Sequence[str]) -> list[str]:
        """The same with labels in place of addresses, so that no library that reads flags can repeat one."""
        return [self._argument(argument) for argument in given]

    def _argument(self, argument: str) -> str:
        name, equals, value = argument.partition("=")
        if re.fullmatch(r"--?[\w.-]+", name):
            return f"{name}={self._conceal(value)}" if equals else argument
        if value.startswith("--") and re.fullmatch(r"[\w.+:-]+", name):  # NAME=FLAGS, which are read by and by
            return argument
        if equals and re.fullmatch(r"[\w.+-]+", name):  # NAME=FOLDER
            return self._conceal(value, f"{name}=")
        return self._conceal(argument)

    def _conceal(self, text: str, before: str = "") -> str:
        if not may_be_address(text):
            return before + text
        label = self._labels.setdefault(text, address_label(text))
        return self._labels.setdefault(before + text, before + label)

    def restored(self, config: Config) -> Config:
        """A configuration made of `arguments`, with the addresses themselves again."""
        own = {label: text for text, label in self._labels.items()}
        result: Config = _replaced(config, own | {str(Path(label)): text for label, text in own.items()})
        return result

    def redacted(self, text: str) -> str:
        """A text of whatever origin without the addresses that were given, and without their parts."""
        labels = {given: label for given, label in self._labels.items() if may_be_address(given)}
        spellings = {spelling: label for given, label in labels.items() for spelling in _spellings(given)}
        for spelling in sorted(spellings, key=len, reverse=True):
            text = text.replace(spelling, spellings[spelling])
        return text


GIVEN = Concealed()
"""Of this process."""


def _spellings(text: str) -> set[str]:
    """How an address, or most of it, can stand in messages of Python, FFmpeg and the web."""
    inside = URL.sub("", text)
    parts = {inside, inside.rpartition("@")[0], *re.split(r"(?=[/?#\\])", inside, maxsplit=1)[1:]}
    plain = {text, text.strip(), str(Path(text)), *(part for part in parts if len(part) >= _SHORTEST)}
    plain |= {unquote(each) for each in plain}
    return (plain | {repr(each)[1:-1] for each in plain}) - {"", address_label(text)}


def _replaced(value: Any, by: dict[str, str]) -> Any:
    if isinstance(value, str):
        return by.get(value, value)
    if isinstance(value, Path):
        return Path(by.get(str(value), value))
    if isinstance(value, tuple | list):
        return type(value)(_replaced(each, by) for each in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        changed = {name: new for name, old in own.items() if (new := _replaced(old, by)) != old}
        return dataclasses.replace(value, **changed) if changed else value
    return value


@contextmanager
def redacted_threads() -> Iterator[None]:
    """While this lasts, what ends a thread is printed without the addresses that were given."""
    before = threading.excepthook
    threading.excepthook = lambda args: print_redacted(args.exc_value)
    try:
        yield
    finally:
        threading.excepthook = before


def print_redacted(error: BaseException | None) -> None:
    """The traceback of an error of the program itself, without the addresses that were given."""
    if error is not None and not isinstance(error, SystemExit):
        print(GIVEN.redacted("".join(traceback.format_exception(error))), end="", file=sys.stderr, flush=True)
