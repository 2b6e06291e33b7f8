"""A folder made again what it was, so that a trial begins where the one before it did."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path


def remove(path: Path) -> None:
    """A file, a folder, or nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def copy(source: Path, target: Path) -> None:
    """With times of change: caches go by them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def sync(root: Path, keep: Path) -> None:
    """Make `root` what `keep` is: whatever differs in kind, size or time of change is copied, the rest deleted."""
    wanted, there = entries(keep), entries(root)
    for name in sorted(there, reverse=True):  # what lies in a folder before the folder
        if there[name] != wanted.get(name):
            remove(root / name)
            del there[name]
    for name in sorted(wanted.keys() - there.keys()):
        if len(wanted[name]) == 1:
            (root / name).mkdir()
        else:
            copy(keep / name, root / name)


def entries(root: Path) -> dict[str, tuple[int, ...]]:
    """Relative path -> kind, and of all but folders size and time of change, of everything below."""
    found: dict[str, tuple[int, ...]] = {}
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(os.path.join(root, folder)) as there:
            for entry in there:
                name = os.path.join(folder, entry.name)
                status = entry.stat(follow_symlinks=False)
                kind = stat.S_IFMT(status.st_mode)
                if kind == stat.S_IFDIR:
                    found[name] = (kind,)
                    waiting.append(name)
                else:
                    found[name] = (kind, status.st_size, status.st_mtime_ns)
    return found
