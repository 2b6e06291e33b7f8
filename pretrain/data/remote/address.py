"""Where a video lies that is no file of this machine by itself, as a plain string.

    s3://bucket/videos/a.mp4                     an address: PROTOCOL://..., whatever fsspec knows
    shards/shard-00000.tar#train/a.mp4           a member of a tar file, on this disk or at an address
    s3://bucket/shard-00000.tar#512+2048#a.mp4   with its bytes: offset and size, as a list of the tar's members says
    s3://bucket/shard-00000.tar#512+2048+9f86d081884c7d659a2feaa0c55ad015#a.mp4     and how their SHA-256 begins

A folder may stand as a `Path`, which makes `s3:/bucket` of `s3://bucket`: `address_of` undoes that. So an address of a
folder cannot hold two slashes in a row.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from pretrain.addresses import address_label, is_open_address

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_AS_PATH = re.compile(r"([A-Za-z][A-Za-z0-9+-]+):/(?!/)")
_LOCAL = ("file", "local")
_RANGE = re.compile(r"(\d{1,19})\+(\d{1,19})(?:\+([0-9a-f]{32}))?#")
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^\s'\"]+")
_RANGE_IN_TEXT = re.compile(rf"(\.tar#){_RANGE.pattern}")
TAR = ".tar"
DIGEST_LETTERS = 32
"""Of a SHA-256 in hex, so many stand in a path."""


class Place(NamedTuple):
    """A path, taken apart."""

    store: str
    """The file: an address, or a path of this disk."""
    member: str = ""
    """Of the tar file that `store` is; empty where it is the file itself."""
    offset: int | None = None
    size: int | None = None
    """Bytes of the member in the tar file, where they are known."""
    digest: str = ""
    """How the SHA-256 of these bytes begins, where it is known."""

    @property
    def source(self) -> str:
        """What it is, however much of it is known: the same for every way of writing it."""
        return f"{self.store}#{self.member}" if self.member else self.store

    @property
    def name(self) -> str:
        """Its file name."""
        return (self.member or self.store).rpartition("/")[2]


def is_remote(path: str) -> bool:
    """Whether a path is none of this machine's: an address, or a member of a tar file. Costs next to nothing."""
    if "://" not in path and ".tar#" not in path:
        return False
    return _ADDRESS.match(path) is not None or (".tar#" in path and not os.path.lexists(path))


def is_address(text: str) -> bool:
    """Whether it is written like one: PROTOCOL://..."""
    return _ADDRESS.match(text) is not None


def parse(path: str) -> Place:
    """A path that `is_remote`, taken apart."""
    store, mark, rest = path.partition(".tar#")
    store = _without_file(store + TAR if mark else store)
    if not mark:
        return Place(store)
    known = _RANGE.match(rest)
    if known is None:
        return Place(store, rest)
    return Place(store, rest[known.end() :], int(known[1]), int(known[2]), known[3] or "")


def _without_file(store: str) -> str:
    scheme, mark, rest = store.partition("://")
    return rest if mark and scheme.lower() in _LOCAL else store


def member_path(tar: str, member: str, offset: int, size: int, digest: str = "") -> str:
    """The path of a member whose bytes are known; `digest`: its SHA-256, or the first 32 letters of it."""
    known = f"{offset}+{size}" + (f"+{digest[:DIGEST_LETTERS]}" if digest else "")
    return f"{tar}#{known}#{member}"


def address_of(root: Path | str) -> str | None:
    """The address that a folder's (or list's) path stands for, without a last slash; None for a path of this disk."""
    text = str(root)
    if isinstance(root, Path) and (match := _AS_PATH.match(text)) and not os.path.lexists(text):
        text = f"{match[1]}:///{text[match.end() :]}" if match[1].lower() in _LOCAL else _spelled(match, text)
    if not is_address(text):
        return None
    text = _without_file(text)
    return text.rstrip("/") if is_address(text) else None


def _spelled(match: re.Match[str], text: str) -> str:
    return f"{match[1]}://{text[match.end() :]}"


def local_root(root: Path) -> Path:
    """A folder of this disk as a plain path: `file:///a` is `/a`."""
    match = _AS_PATH.match(str(root))
    if match is None or match[1].lower() not in _LOCAL or os.path.lexists(root):
        return root
    return Path("/" + str(root)[match.end() :])


def root_text(root: Path) -> str:
    """A folder as paths begin that lie in it: an address as it is written, a folder of this disk as it is."""
    return address_of(root) or str(local_root(root))


def place_text(root: Path | str) -> str:
    """A folder or file as people may read it: an address as it is written, without logins."""
    address = address_of(root)
    return plain_addresses(address) if address is not None else str(root)


def joined(folder: str, name: str) -> str:
    """What lies under a folder, or in a tar file."""
    return f"{folder}#{name}" if folder.endswith(TAR) and not os.path.isdir(folder) else f"{folder.rstrip('/')}/{name}"


def base_name(path: str) -> str:
    """The file name of a path of either kind."""
    return parse(path).name if is_remote(path) else os.path.basename(path)


def folder_name(path: str) -> str:
    """The name of the folder that it lies in; empty for a member at the top of a tar file."""
    if not is_remote(path):
        return os.path.basename(os.path.dirname(path))
    place = parse(path)
    return (place.member or place.store).rpartition("/")[0].rpartition("/")[2]


def plain_addresses(text: str) -> str:
    """A text in which addresses may be read by anybody: those that may hold a secret by their label, no byte ranges."""
    if "://" in text:
        text = _IN_TEXT.sub(_readable, text)
    return _RANGE_IN_TEXT.sub(r"\1", text) if ".tar#" in text else text


def _readable(match: re.Match[str]) -> str:
    address = match[0].rstrip(".,:;)")
    shown = _RANGE_IN_TEXT.sub(r"\1", address)
    return (shown if is_open_address(shown) else address_label(shown)) + match[0][len(address) :]
