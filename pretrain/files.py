"""Writing files so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pretrain.errors import UserError
from pretrain.leftovers import remove_leftovers_once, temporary_path
from pretrain.names import json_escaped

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
PROBE_BYTES = 1 << 20


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success it is synced to disk and renamed to `path`.

    On any failure (a full disk, a kill by exception) the temporary file is removed and `path` is what it was. A disk
    that takes no more is an OSError that names `path`, whichever error the library that writes has for it.
    The suffix of `path` is kept, for writers that choose a format by it. Who may read the file is for the umask to say,
    also where its writer would keep it to the owner (safetensors does).
    What killed processes left half-written in that folder is removed (`leftovers`).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers_once(path.parent)
    temporary = temporary_path(path)
    try:
        mode = _mode_of_new(temporary)
        yield temporary
        if temporary.stat().st_mode & 0o777 != mode:
            temporary.chmod(mode)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except UserError:
        raise
    except OSError as error:
        if error.errno is None:  # numpy's "100 requested and 12 written"
            told = _reason(temporary, error) or errno.EIO
            raise OSError(told, os.strerror(told), str(path)) from error
        if error.filename2 is not None and error.errno in DISK_FULL:  # of a copy it names the source
            raise OSError(error.errno, error.strerror, str(path)) from error
        if error.filename in (None, str(temporary)) or error.errno in DISK_FULL:
            with suppress(AttributeError):  # FFmpeg's errors take no other name; who writes with it says the file
                error.filename = str(path)
        raise
    except Exception as error:  # libraries have errors of their own for a disk that is full
        number = _reason(temporary, error)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _mode_of_new(path: Path) -> int:
    """Make an empty file; the permissions that it gets, as any file of any program here would."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        return os.fstat(descriptor).st_mode & 0o777
    finally:
        os.close(descriptor)


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


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's bytes, atomically; the umask says who may read it. A full disk is the target's."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


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
    """Write UTF-8 text atomically. What UTF-8 has not (names of other bytes) stands as an escape, not in the way."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically; NaN and infinity are refused."""
    write_text(path, json_text(value, indent=2) + "\n")


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON for people and programs: letters as they are, what is unsafe in a name (`names.UNSAFE`) as an escape.

    So every name is read back as it was, and the text may go to a terminal. ValueError for NaN and infinity.
    """
    return json_escaped(json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False))


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
