"""Writing files so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pretrain.errors import UserError

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
PROBE_BYTES = 1 << 20


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success it is synced to disk and renamed to `path`.

    On any failure (a full disk, a kill by exception) the temporary file is removed and `path` is what it was. A disk
    that takes no more is an OSError that names `path`, whichever error the library that writes has for it.
    The suffix of `path` is kept, for writers that choose a format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except UserError:
        raise
    except OSError as error:
        if error.errno is None:  # numpy's "100 requested and 12 written"
            told = _reason(temporary, error) or errno.EIO
            raise OSError(told, os.strerror(told), str(path)) from error
        if error.filename is None or error.errno in DISK_FULL:  # of a copy it names the source
            error.filename, error.filename2 = str(path), None
        raise
    except Exception as error:  # libraries have errors of their own for a disk that is full
        number = _reason(temporary, error)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _reason(temporary: Path, error: Exception) -> int | None:
    """The system's number of why a library could not write; None where the disk would have taken more.

    Some libraries say the number in their text. Others say anything: then a little more is written, to see.
    """
    if told := re.search(r"os error (\d+)", str(error)):
        return int(told[1])
    try:
        with open(temporary, "ab") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as refusal:
        return refusal.errno
    return None


def reserve(path: Path) -> None:
    """Take the disk space of a file that was made sparse, before it is written through a memory map.

    OSError where the disk is too full: written to through the map, such a file kills the process without a word.
    """
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with open(path, "r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
            except OSError as error:  # it does not name the file by itself
                raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a regular file's bytes; OSError where it is none: a pipe is not waited for."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Force the files of a folder, and its own entries, to disk."""
    for path in [*(entry for entry in folder.iterdir() if entry.is_file()), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
