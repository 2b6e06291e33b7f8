"""Room for copies: a lock for each that is fetched, and the oldest removed where a folder is full."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from pretrain.data.remote.errors import RemoteError
from pretrain.data.remote.settings import LIMIT, CopySettings
from pretrain.leftovers import remove_leftovers

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows
    fcntl = None  # type: ignore[assignment]

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
LOCKS = 1024
"""Files that are locked, so that no lock has to be removed; two videos of one lock wait for each other."""
SLACK = 0.01
"""A process looks through the folder before its first fetch, and again when it fetched this share of the limit."""
DOWN_TO = 0.95
"""Of the limit: so much is left when room was made, that it need not be made for every copy."""
_fetched: dict[Path, int] = {}


def lock(descriptor: int, *, alone: bool, wait: bool = True) -> None:
    """Lock an open file, for oneself alone or beside other readers; BlockingIOError where it would have to `wait`.

    On a disk without locks nothing is done: what is removed while it is read is read to its end all the same.
    """
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise


def let_go(descriptor: int) -> None:
    """Unlock and close it; a forked process may have the descriptor too."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    except OSError:  # a disk without locks
        pass
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path, key: str) -> Iterator[None]:
    """Alone among all processes and threads of this machine that ask for this key; others wait."""
    locks = folder / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    name = key if not _is_hex(key) else f"{int(key[:8], 16) % LOCKS:03x}"
    descriptor = os.open(locks / name, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        lock(descriptor, alone=True)
        yield
    finally:
        let_go(descriptor)


def _is_hex(key: str) -> bool:
    return len(key) >= 8 and set(key) <= set("0123456789abcdef")


class _Copy(NamedTuple):
    used_ns: int
    size: int
    file: Path


def make_room(settings: CopySettings, size: int, source: str) -> None:
    """Before `size` bytes are fetched: remove what was not read for longest, where the folder would become too large.

    RemoteError where the folder could never hold so much.
    """
    if size > settings.limit:
        raise RemoteError(
            f"{source}: has {size / 1e9:.3g} GB, and {LIMIT} lets copies take {settings.limit / 1e9:.3g}; raise it"
        )
    since = _fetched.get(settings.folder)
    if since is not None and since + size < SLACK * settings.limit:
        _fetched[settings.folder] = since + size
        return
    with locked(settings.folder, "room"):
        copies = sorted(_copies(settings.folder))
        held = sum(copy.size for copy in copies)
        if held + size > settings.limit:
            _remove_oldest(copies, held + size - int(DOWN_TO * settings.limit))
    _fetched[settings.folder] = size


def _remove_oldest(copies: list[_Copy], needed: int) -> None:
    for copy in copies:
        if needed <= 0:
            return
        if _removed(copy.file):
            needed -= copy.size


def _removed(file: Path) -> bool:
    """Remove a copy, unless somebody reads it."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        lock(descriptor, alone=True, wait=False)
        file.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        let_go(descriptor)
    with suppress(OSError):  # another state of the same name is just being made there
        file.parent.rmdir()
    return True


def _copies(folder: Path) -> Iterator[_Copy]:
    for shelf in _folders(folder):
        for own in _folders(shelf.path):
            if len(os.path.basename(own.path)) != 30:
                continue
            remove_leftovers(Path(own.path))
            with suppress(FileNotFoundError), os.scandir(own.path) as entries:
                for entry in entries:
                    if entry.name.startswith("."):  # just being fetched
                        continue
                    status = entry.stat()
                    yield _Copy(status.st_atime_ns, status.st_size, Path(entry.path))


def _folders(folder: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [
                entry
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and entry.name not in ("locks", "lists")
            ]
    except FileNotFoundError:
        return []
