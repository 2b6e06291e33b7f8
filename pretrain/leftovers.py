"""Temporary files: their names say which process writes them, so that those of a killed one can be told and removed.

    .events.4711-1f0c9a2b.tmp.json      process 4711 of machine 1f0c9a2b writes events.json

A process id means nothing on another machine, or in another container: there only age tells.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
import time
from functools import lru_cache
from pathlib import Path

import psutil

OLD_SECONDS = 24 * 3600.0
"""What another machine has not touched for so long, nobody writes any more."""
LEVELS, MAX_FOLDERS = 4, 2000
"""How far `remove_leftovers_below` looks."""
_NAME = re.compile(r"\..+\.(?P<process>\d+)(?:-(?P<machine>[0-9a-f]{8}))?\.tmp(?:\.[^.]+)?", re.DOTALL)
_looked_at: set[str] = set()


@lru_cache(maxsize=1)
def kernel() -> str:
    """The system that runs here, other after each start of the machine; the same in all of its containers."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:  # not Linux
        text = socket.gethostname()
    return _short(text)


@lru_cache(maxsize=1)
def machine() -> str:
    """Where process ids have the meaning that they have here: this kernel, this container."""
    try:
        return _short(f"{kernel()} {os.stat('/proc/self/ns/pid').st_ino}")
    except OSError:
        return kernel()


def temporary_path(path: Path) -> Path:
    """A hidden name beside `path` for this process to write to; it keeps the suffix, by which some writers choose."""
    return path.with_name(f".{path.stem}.{os.getpid()}-{machine()}.tmp{path.suffix}")


def is_temporary(path: Path) -> bool:
    """Whether the name is one that `temporary_path` gives."""
    return _NAME.fullmatch(path.name) is not None


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders in `folder` whose process is dead; those of living ones stay."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _NAME.fullmatch(entry.name) if entry.name.startswith(".") else None
            if found is None:
                continue
            with contextlib.suppress(OSError):  # gone meanwhile, or somebody else's
                changed = entry.stat(follow_symlinks=False).st_mtime
                if not _is_dead(int(found["process"]), found["machine"], changed):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)


def remove_leftovers_below(folder: Path) -> None:
    """The same in `folder` and the folders in it, three levels down: where runs write; links are not followed."""
    level = [folder]
    for _ in range(LEVELS):
        below: list[Path] = []
        for each in level[:MAX_FOLDERS]:
            remove_leftovers(each)
            with contextlib.suppress(OSError), os.scandir(each) as entries:
                below += [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
        level = below


def remove_leftovers_once(folder: Path) -> None:
    """The same, the first time that it is asked for in a folder: with thousands of files in one, looking takes time."""
    key = os.path.abspath(folder)
    if key not in _looked_at:
        _looked_at.add(key)
        remove_leftovers(folder)


def look_again() -> None:
    """A run begins: what `remove_leftovers_once` saw before counts no more."""
    _looked_at.clear()


def is_running(process: int, since: float) -> bool:
    """Whether that process of this machine, which was there at the time `since`, still is."""
    try:
        found = psutil.Process(process)
        if found.status() == psutil.STATUS_ZOMBIE:  # dead, and nobody has asked yet
            return False
        return found.create_time() <= since + 1  # seconds: the start of the machine is rounded
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def _is_dead(process: int, written_on: str | None, changed: float) -> bool:
    if written_on not in (None, machine()):
        return time.time() - changed > OLD_SECONDS
    return not is_running(process, changed)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
