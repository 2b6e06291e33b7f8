"""What state a video is in, wherever it lies: by it caches know whether what they hold is of these bytes.

A store is asked once for an object in a process, or not at all where a listing said it, or where the path holds size
and digest of the bytes (`kind shards`). A file of this disk is looked at each time.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from pretrain.data.remote.address import TAR, Place, is_address, is_remote, member_path, parse, plain_addresses
from pretrain.data.remote.errors import RemoteError
from pretrain.data.remote.store import Stat, made_up_time, stat_of
from pretrain.data.remote.tar_file import members_of, tar_stat

MOST_KNOWN = 2_000_000
"""Objects whose state is remembered."""
_known: dict[str, Stat] = {}


class FileState(NamedTuple):
    """A file as it is: any change of its bytes shows in one of these."""

    path: str
    """Absolute; of what lies elsewhere, its address and its name in the tar file."""
    size: int
    mtime_ns: int

    @property
    def shown(self) -> str:
        """The path as it may be written into files that others read."""
        return plain_addresses(self.path)


def remember(address: str, state: Stat) -> None:
    """What a listing said of an object: this process need not ask for it."""
    if len(_known) >= MOST_KNOWN:
        _known.clear()
    _known[address] = state


def forget() -> None:
    """Ask for everything anew."""
    _known.clear()


def object_state(store: str) -> Stat:
    """The state of an object, or of a file of this disk, that holds a video. RemoteError."""
    if not is_address(store):
        return tar_stat(store)
    held = _known.get(store)
    if held is None:
        held = stat_of(store)
        remember(store, held)
    return held


def file_state(path: str) -> FileState:
    """The state of a video's file; nothing is fetched. OSError for a file of this disk, RemoteError for others."""
    if not is_remote(path):
        return _on_disk(path)
    place = parse(path)
    if not place.member and not is_address(place.store):
        return _on_disk(place.store)
    if place.digest and place.size is not None:
        return FileState(place.source, place.size, made_up_time(place.digest))
    state = object_state(place.store)
    if not place.member:
        return FileState(place.source, state.size, state.mtime_ns)
    size = located(place).size
    assert size is not None
    return FileState(place.source, size, state.mtime_ns)


def _on_disk(path: str) -> FileState:
    absolute = os.path.abspath(path)
    status = os.stat(absolute)
    return FileState(absolute, status.st_size, status.st_mtime_ns)


def located(place: Place) -> Place:
    """The same with the bytes of its member, by the tar file's headers where they are not known. RemoteError."""
    if place.offset is not None or not place.member:
        return place
    for member in members_of(place.store, object_state(place.store)):
        if member.name == place.member:
            return place._replace(offset=member.offset, size=member.size)
    raise RemoteError(f"{place.store} holds no '{place.member}'; check the name")


def member_paths(tar: str) -> dict[str, str]:
    """Name -> path of every file in a tar file, in its order, for later reading without its headers. RemoteError."""
    assert tar.endswith(TAR)
    members = members_of(tar, object_state(tar))
    return {member.name: member_path(tar, member.name, member.offset, member.size) for member in members}


def known_size(path: str) -> int | None:
    """Bytes of a video that lies elsewhere, where they are known without asking."""
    place = parse(path)
    if place.size is not None:
        return place.size
    held = _known.get(place.store)
    return held.size if held is not None and not place.member else None
