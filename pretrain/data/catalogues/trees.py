"""Folders as a walk looks into them: those of this disk, those of a store, and those in tar files.

A `Tree` is all that catalogues know of where videos lie. A store is listed once and as a whole; tar files are looked
into where no video lies outside of them, so that an archive beside what was unpacked from it counts for nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Protocol

from pretrain.data.remote.address import TAR, address_of, is_remote, local_root, parse, root_text
from pretrain.data.remote.errors import RemoteError
from pretrain.data.remote.state import member_paths, remember
from pretrain.data.remote.store import names_in, stats_below
from pretrain.errors import UserError


class Tree(Protocol):
    """Folders, by what is written of them."""

    top: str
    """Where a walk begins."""

    def identity(self, folder: str) -> Hashable | None:
        """Which folder it is, however one came there; None where it is gone by now."""
        ...

    def entries(self, folder: str) -> Iterable[tuple[str, bool]]:
        """Names in a folder, and which are folders."""
        ...

    def path(self, folder: str, name: str) -> str:
        """The path of a file or folder in a folder."""
        ...


class DiskTree:
    """Folders of this disk; linked ones are followed. Its errors are UserErrors."""

    def __init__(self, top: str) -> None:
        self.top = top

    def identity(self, folder: str) -> Hashable | None:
        """Device and number of the real folder."""
        try:
            status = os.stat(folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UserError(f"cannot look at the folder '{folder}': {error.strerror}; mend its permissions") from error
        return status.st_dev, status.st_ino

    def entries(self, folder: str) -> Iterable[tuple[str, bool]]:
        """Of one `scandir`."""
        try:
            with os.scandir(folder) as entries:
                return [(entry.name, _is_folder(entry)) for entry in entries]
        except OSError as error:
            raise UserError(f"cannot list the folder '{folder}': {error.strerror}; mend its permissions") from error

    def path(self, folder: str, name: str) -> str:
        """As the system joins them."""
        return os.path.join(folder, name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle: as a file it fails by itself, when it is read
        return False


class ListedTree:
    """Folders that a list of files makes: relative name -> path."""

    def __init__(self, top: str, files: dict[str, str]) -> None:
        self.top, self._files = top, files
        self._below: dict[str, dict[str, bool]] = {"": {}}
        for relative in files:
            self._add(relative, False)

    def _add(self, relative: str, is_folder: bool) -> None:
        folder, _, name = relative.rpartition("/")
        is_new = folder not in self._below
        self._below.setdefault(folder, {})[name] = is_folder
        if is_new:
            self._add(folder, True)

    def identity(self, folder: str) -> Hashable | None:
        """Its name: nothing is linked."""
        return folder

    def entries(self, folder: str) -> Iterable[tuple[str, bool]]:
        """Of the list."""
        return self._below.get(self._relative(folder), {}).items()

    def path(self, folder: str, name: str) -> str:
        """A file's own path; of a folder, its place in the tree."""
        relative = f"{self._relative(folder)}/{name}".lstrip("/")
        return self._files.get(relative) or f"{self.top}/{relative}"

    def _relative(self, folder: str) -> str:
        return folder[len(self.top) :].lstrip("/")


def is_elsewhere(root: Path) -> bool:
    """Whether a folder is an address, or a tar file."""
    return address_of(root) is not None or (local_root(root).suffix == TAR and local_root(root).is_file())


def tree_of(root: Path, is_video: Callable[[str], bool]) -> Tree:
    """The tree below a folder, an address or a tar file. RemoteError where a store or a tar file cannot be read.

    `is_video` says by its name whether a file is one.
    """
    if not is_elsewhere(root):
        return DiskTree(str(local_root(root)))
    top = root_text(root)
    return ListedTree(top, files_below(top, is_video))


def files_below(top: str, is_video: Callable[[str], bool]) -> dict[str, str]:
    """Relative name -> path of all files of a tar file, or of an address, with those in its tar files where no video
    lies outside of them. RemoteError where nothing is there."""
    if top.endswith(TAR):
        return member_paths(top)
    found = stats_below(top)
    for name, state in found.items():
        remember(f"{top}/{name}", state)
    if not found:
        raise RemoteError(f"{top}: there is nothing; check the address (--catalogue.root)")
    files = {name: f"{top}/{name}" for name in found}
    if not any(map(is_video, files)):
        tars = [name for name in files if name.endswith(TAR)]
        files |= in_tars([files.pop(name) for name in tars])
    return files


def in_tars(tars: Iterable[str]) -> dict[str, str]:
    """Name -> path of all files in several tar files; UserError where two hold one name."""
    found: dict[str, str] = {}
    for tar in tars:
        for name, path in member_paths(tar).items():
            if name in found:
                other = found[name].partition(f"{TAR}#")[0] + TAR
                raise UserError(f"two tar files hold '{name}': {other} and {tar}; leave one of them out")
            found[name] = path
    return found


def names_at(folder: str) -> set[str] | None:
    """Names in a folder of this disk, or at an address; None where there is no such folder."""
    address = address_of(folder)
    if address is not None:
        names = names_in(address)
        for name, state in (names or {}).items():
            if state is not None:
                remember(f"{address}/{name}", state)
        return None if names is None else set(names)
    try:
        return set(os.listdir(folder or "."))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"cannot list the folder '{folder}': {error.strerror}; mend its permissions") from error


def relative_folder(path: str, root: Path) -> str:
    """The folder of a video as seen from the root, with those in its tar file: `train/normal`; `.` for the root."""
    if not is_remote(path):
        return os.path.relpath(os.path.dirname(path) or "/", local_root(root))
    place, top = parse(path), root_text(root)
    outside = "" if place.store == top else place.store[len(top) :].strip("/").rpartition("/")[0]
    inside = place.member.rpartition("/")[0]
    return "/".join(part for part in (outside, inside) if part) or "."


class TarFiles:
    """Videos that a list names by their names in tar files, which are looked into once, when one is asked for."""

    def __init__(self, root: Path | None) -> None:
        self._root = None if root is None else root_text(root)
        self._members: dict[str, dict[str, str]] = {}
        self._of_root: dict[str, str] | None = None

    def place_of(self, path: str) -> str | None:
        """The path of a member, with its bytes; None where the tar file has no such member."""
        place = parse(path)
        if place.offset is not None:
            return path
        if place.store not in self._members:
            self._members[place.store] = member_paths(place.store)
        return self._members[place.store].get(place.member)

    def under_root(self, path: str) -> str | None:
        """The member that a path below the root would be, of any tar file that lies in the root."""
        if self._root is None or not path.startswith(f"{self._root}/"):
            return None
        if self._of_root is None:
            names = sorted(name for name in names_at(self._root) or () if name.endswith(TAR))
            self._of_root = in_tars([f"{self._root}/{name}" for name in names])
        return self._of_root.get(path[len(self._root) + 1 :])

    def has(self, path: str) -> bool:
        """Whether a tar file of the root holds it."""
        return self.under_root(path) is not None
