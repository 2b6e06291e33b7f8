"""What is in a tar file, by its headers alone: on this disk, or at an address by ranges of bytes.

Only regular files are taken. A tar file that holds anything by which a program could be made to write, or read, what it
should not (links, devices, names that lead out, sizes beyond its end) is refused as a whole.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from functools import lru_cache
from typing import NamedTuple

from pretrain.data.remote.address import is_address
from pretrain.data.remote.errors import RemoteError
from pretrain.data.remote.store import Stat, read_range, stat_of
from pretrain.errors import UserError

AHEAD_BYTES = 1 << 16
"""Read at a time at an address: a header, and those of small members behind it."""
MOST_HEADER_BYTES = 1 << 20
"""A header that asks for more is no name of a file."""
MOST_MEMBERS = 5_000_000
BLOCK = 512


class Member(NamedTuple):
    """A regular file in a tar file."""

    name: str
    offset: int
    """Of its first byte."""
    size: int


def members_of(tar: str, state: Stat) -> tuple[Member, ...]:
    """The regular files in a tar file, in its order; kept for as long as its `state` is the same. RemoteError."""
    return _members(tar, state)


def tar_stat(tar: str) -> Stat:
    """The state of a tar file, on this disk or at an address. RemoteError where there is none."""
    if is_address(tar):
        return stat_of(tar)
    try:
        status = os.stat(tar)
    except OSError as error:
        raise RemoteError(f"{tar}: {(error.strerror or str(error)).lower()}; check the path of the tar file") from error
    if not stat.S_ISREG(status.st_mode):
        raise RemoteError(f"{tar}: not a regular file; give a tar file")
    return Stat(status.st_size, status.st_mtime_ns, "")


@lru_cache(maxsize=4096)
def _members(tar: str, state: Stat) -> tuple[Member, ...]:
    reader = _Ranges(tar, state.size)
    found: dict[str, Member] = {}
    try:
        with tarfile.open(fileobj=reader, mode="r:", errors="surrogateescape") as file:
            for entry in file:
                file.members = []  # type: ignore[attr-defined]  # it would keep all of them
                member = _member(tar, entry, state.size)
                if member is None:
                    continue
                if member.name in found:
                    raise RemoteError(f"{tar}: holds '{member.name}' twice; pack it again with names that differ")
                found[member.name] = member
                if len(found) > MOST_MEMBERS:
                    raise RemoteError(f"{tar}: holds more than {MOST_MEMBERS:,} files; pack it in several")
            reader.seek(file.offset)
            end = reader.read(2 * BLOCK)
            if len(end) < BLOCK or end.strip(b"\0"):  # the library takes a damaged header for the end
                raise RemoteError(f"{tar}: has no end where its last file ends: it was cut off, or is damaged")
    except (tarfile.TarError, EOFError, ValueError, OverflowError, OSError) as error:
        if isinstance(error, UserError):
            raise
        raise RemoteError(f"{tar}: is no tar file, or damaged ({error}); fetch or pack it again") from error
    return tuple(found.values())


def _member(tar: str, entry: tarfile.TarInfo, size: int) -> Member | None:
    """A file of it; None for a folder."""
    if entry.isdir():
        return None
    name = entry.name.removeprefix("./")
    if not entry.isreg() or entry.issparse():
        raise RemoteError(
            f"{tar}: '{name}' is a link, a device or a sparse file, and only plain files are read; pack it again "
            "(tar --dereference --hard-dereference)"
        )
    if wrong := wrong_name(name):
        raise RemoteError(f"{tar}: the name '{name[:200]}' {wrong}; it is not opened. Pack it again")
    if entry.size < 0 or entry.offset_data < BLOCK or entry.offset_data + entry.size > size:
        raise RemoteError(
            f"{tar}: '{name}' would have {entry.size:,} bytes from {entry.offset_data:,} on, and the file ends at "
            f"{size:,}: it was cut off, or is damaged; fetch or pack it again"
        )
    return Member(name, entry.offset_data, entry.size)


def wrong_name(name: str) -> str:
    """What is wrong with a member's name; empty where it is a plain way down."""
    if not name or len(name) > 4096 or "\0" in name or "\\" in name:
        return "is no name of a file"
    parts = name.split("/")
    return "leads out of the tar file" if any(part in ("", ".", "..") for part in parts) else ""


class _Ranges(io.RawIOBase):
    """A file that reads a little at a time, and never as much as a forged header asks for."""

    def __init__(self, tar: str, size: int) -> None:
        self._tar, self._size, self._at = tar, size, 0
        self._start, self._held = 0, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MOST_HEADER_BYTES:
            raise RemoteError(f"{self._tar}: a header asks for {size:,} bytes; it is damaged. Fetch or pack it again")
        end = min(self._at + size, self._size)
        if self._at >= end:
            return b""
        if not (self._start <= self._at and end <= self._start + len(self._held)):
            self._start = self._at
            self._held = self._bytes(self._at, min(self._at + max(size, AHEAD_BYTES), self._size))
        content = self._held[self._at - self._start : end - self._start]
        self._at = end
        return content

    def _bytes(self, start: int, end: int) -> bytes:
        if is_address(self._tar):
            return read_range(self._tar, start, end)
        with open(self._tar, "rb") as file:
            file.seek(start)
            return file.read(end - start)
