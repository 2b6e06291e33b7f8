"""A folder made again what it was, so that a trial begins where the one before it did."""

from __future__ import annotations

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
    wanted = entries(keep)
    for name in sorted(entries(root), reverse=True):  # what lies in a folder before the folder
        if kind_of(root / name) != wanted.get(name):
            remove(root / name)
    there = entries(root)
    for name in sorted(wanted):
        if name not in there:
            if (keep / name).is_dir():
                (root / name).mkdir(exist_ok=True)
            else:
                copy(keep / name, root / name)


def entries(root: Path) -> dict[str, tuple[int, ...]]:
    """Relative path -> what it is, of everything below."""
    return {str(path.relative_to(root)): kind_of(path) for path in root.rglob("*")}


def kind_of(path: Path) -> tuple[int, ...]:
    """Kind, and of a file size and time of change."""
    status = path.lstat()
    kind = stat.S_IFMT(status.st_mode)
    return (kind,) if kind == stat.S_IFDIR else (kind, status.st_size, status.st_mtime_ns)
