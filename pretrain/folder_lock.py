"""One writer a folder: whoever writes to it holds its `.lock`; who comes second is told who that is.

On one machine the system keeps the lock (flock) and lets go of it when the holder dies, however it dies. A disk that
machines share may have no locks, or some that end at the machine: there the holder's sign of life counts, which it
gives every ten seconds by touching the file. What is not covered: two machines that begin within the same second on a
disk without locks.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pretrain.errors import UserError
from pretrain.leftovers import is_running, kernel, look_again, machine, remove_leftovers_below, temporary_path

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows: there the holder's process id counts
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = ".lock"
BEAT_SECONDS, SILENT_SECONDS = 10.0, 60.0
"""How often a holder gives a sign of life; after how long without one another machine's holder counts as gone."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_held: set[int] = set()


@contextmanager
def only_writer_in(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; UserError where another process has it. A killed process lets go of it by itself.

    The folder is made where it is missing, and removed again where nothing came into it. Temporary files of dead
    processes are removed from it.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / LOCK_FILE
    descriptor = _take(folder, file)
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(descriptor, ended), daemon=True)
    beating.start()
    try:
        look_again()
        remove_leftovers_below(folder)
        yield
    finally:
        ended.set()
        beating.join(1)
        file.unlink(missing_ok=True)  # first, so that nobody takes a lock on a file that is gone: see _take
        _held.discard(descriptor)
        os.close(descriptor)
        with contextlib.suppress(OSError):  # not empty
            for each in missing:
                each.rmdir()


def _take(folder: Path, file: Path) -> int:
    """The descriptor of the lock file, locked and with our name in it."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            has_locks = _flock(descriptor)
            holder = _read(descriptor)
            if holder is not None and _is_there(holder, has_locks, folder, file):
                raise BlockingIOError
            if not _is_same(descriptor, file):  # its holder has just removed it
                os.close(descriptor)
                continue
            _write(descriptor)
        except BlockingIOError:
            told = _told(_read(descriptor))
            os.close(descriptor)
            raise UserError(
                f"another process is at work in {folder}{told}: wait for it or stop it, or choose another folder"
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        _held.add(descriptor)
        return descriptor


def _flock(descriptor: int) -> bool:
    """Lock it; whether the file system knows locks. BlockingIOError where another process holds it."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


def _is_there(holder: dict[str, Any], has_locks: bool, folder: Path, file: Path) -> bool:
    """Whether the process named in the lock file still writes, where the system's lock cannot tell."""
    if holder.get("kernel") == kernel() and has_locks:
        return False  # else it would hold the lock that we have now
    if holder.get("machine") == machine():
        process, since = holder.get("process"), holder.get("started")
        return isinstance(process, int) and isinstance(since, float) and is_running(process, since)
    return _now(folder) - file.stat().st_mtime < SILENT_SECONDS


def _now(folder: Path) -> float:
    """The time on the clock that stamps files there: machines' own clocks differ."""
    probe = temporary_path(folder / "clock")
    try:
        probe.touch()
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _is_same(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def _read(descriptor: int) -> dict[str, Any] | None:
    """Who the file names; None where it names nobody."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        content = json.loads(os.read(descriptor, 4096))
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _write(descriptor: int) -> None:
    holder = {
        "command": os.path.basename(sys.argv[0]),  # without its arguments: addresses hold passwords
        "process": os.getpid(),
        "host": socket.gethostname(),
        "started": time.time(),
        "machine": machine(),
        "kernel": kernel(),
    }
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, json.dumps(holder).encode())
    os.fsync(descriptor)


def _told(holder: dict[str, Any] | None) -> str:
    """` (extract-features, process 4711 on host2, since 09:14:03)`."""
    if holder is None:
        return ""
    started = holder.get("started")
    since = f", since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(started))}" if _is_time(started) else ""
    named = [str(holder[key])[:100] for key in ("command", "process", "host") if key in holder]
    if len(named) < 3:
        return ""
    far = f"; if that machine was switched off, try again after {SILENT_SECONDS:.0f} s"
    elsewhere = far if holder.get("kernel") != kernel() else ""
    return f" ({named[0]}, process {named[1]} on {named[2]}{since}{elsewhere})"


def _is_time(value: Any) -> bool:
    return isinstance(value, float) and 0 < value < 1e11


def _beat(descriptor: int, ended: threading.Event) -> None:
    """Touch the file until the writer is done."""
    while not ended.wait(BEAT_SECONDS):
        with contextlib.suppress(OSError):
            os.utime(descriptor)


def _let_go_in_child() -> None:
    """A forked reading process must not keep the lock of a parent that was killed."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)
