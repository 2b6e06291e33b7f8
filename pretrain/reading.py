"""Reading what lies on a disk, whoever wrote it: regular files, no larger than stated, never outside of their folder.

Files are downloaded, copied, edited and cut off. Whatever is read back passes here, or through what builds on it:
`versioned_json` (JSON), `arrays` (.npy), `weight_files` (tensors).
"""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path

from pretrain.errors import UserError

CARD_BYTES = 64 << 20
"""Largest JSON or YAML file that describes one thing: a card, a configuration, a manifest of a proxy."""
LIST_BYTES = 1 << 30
"""Largest file with an entry a video: lists, scores, boxes, manifests of feature sets."""

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class Unreadable(ValueError):
    """Why a file cannot be read, in words without its path: readers say in a UserError what it should be."""


def open_regular(path: Path | str, limit: int | None = None) -> BufferedReader:
    """Open a regular file; a pipe or a device, which may never end, is not waited for.

    Unreadable where there is none, where it is something else, or larger than `limit` bytes.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise Unreadable(str(error)) from error
    file = os.fdopen(descriptor, "rb") if not stat.S_ISDIR(os.fstat(descriptor).st_mode) else None
    if file is None:
        os.close(descriptor)
        raise Unreadable("it is a folder, not a regular file")
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        file.close()
        kind = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "something else")
        raise Unreadable(f"it is {kind}, not a regular file")
    if limit is not None and status.st_size > limit:
        file.close()
        raise Unreadable(f"it has {status.st_size:,} bytes, and at most {limit:,} are read")
    return file


def require_regular(path: Path | str, limit: int | None = None) -> int:
    """The size in bytes of a regular file, for libraries that open it themselves; Unreadable as `open_regular`."""
    with open_regular(path, limit) as file:
        return os.fstat(file.fileno()).st_size


def read_bytes(path: Path | str, limit: int) -> bytes:
    """All bytes of a regular file; Unreadable."""
    try:
        with open_regular(path, limit) as file:
            content = file.read()  # no number: one that is given is memory taken
    except OSError as error:
        raise Unreadable(str(error)) from error
    if len(content) > limit:  # it grew while it was read
        raise Unreadable(f"it has more than {limit:,} bytes, and no more are read")
    return content


def read_utf8(path: Path | str, limit: int, errors: str = "strict") -> str:
    """A regular file as text, without the mark that other programs begin it with; Unreadable.

    `errors`: `surrogateescape` for lists, in which names are bytes.
    """
    try:
        return read_bytes(path, limit).decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        raise Unreadable(str(error)) from error


def own_file(folder: Path, name: object, what: str) -> Path:
    """`folder / name`, where the name stands in a file of that folder: it may not lead out of it.

    UserError for what is no text, absolute, has `..`, a backslash or a null character in it, or is (or passes through)
    a link to somewhere else. `what` names it in the message: "the array of runs/features/manifest.json".
    """
    if not isinstance(name, str) or not name or "\0" in name or "\\" in name or len(name) > 1024:
        raise UserError(f"{what} is {str(name)[:200]!r}, which is no name of a file in {folder}; get it anew")
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or ":" in parts[0]:
        raise UserError(f"{what} is {name[:200]!r}, which leads out of {folder}; it is not opened. Get it anew")
    refuse_link_out(folder, folder / name, what)
    return folder / name


def refuse_link_out(folder: Path, file: Path, what: str) -> None:
    """UserError where `file`, which should lie in `folder`, is (or lies behind) a link to somewhere else."""
    real, inside = os.path.realpath(file), os.path.realpath(folder)
    if os.path.commonpath([real, inside]) != inside:
        raise UserError(f"{what} is a link that leads out of {folder} ({file}); put the file itself there")
