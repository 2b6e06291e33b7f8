"""Copies on this machine of videos that lie elsewhere: fetched when they are read, shared by all of its processes.

    COPIES/3f/2a90c4.../street.mp4      the folder's name is decided by the source and its state
    COPIES/locks/                       who fetches what, who makes room

A copy appears whole or not at all. It has its source's name and a time of change that the source decides, so what
is kept of a video (packet index, proxy, maps) is still of it after it was fetched again. Where the folder is full, what
was not read for longest goes first; what is being read stays, also while other processes make room.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pretrain.data.remote.address import DIGEST_LETTERS, Place, is_address, is_remote, parse
from pretrain.data.remote.errors import RemoteError
from pretrain.data.remote.room import let_go, lock, locked, make_room
from pretrain.data.remote.settings import FOLDER, LIMIT, copy_settings
from pretrain.data.remote.state import FileState, file_state, located, object_state
from pretrain.data.remote.store import download, stat_of
from pretrain.files import replacing
from pretrain.names import file_name

ATTEMPTS = 5
"""A copy may be removed between its fetching and its opening; so often it is fetched again."""


def local_copy(path: str) -> str:
    """A file of this machine with the bytes of the video at `path`: the path itself, or a copy that is made now.

    RemoteError where it cannot be fetched. Others may need the room of a copy by and by: `opened` holds it.
    """
    with opened(path) as file:
        return file


@contextmanager
def opened(path: str) -> Iterator[str]:
    """The same, and the copy is not removed while this lasts."""
    if not is_remote(path):
        yield path
        return
    place = parse(path)
    if not place.member and not is_address(place.store):  # file:///a.mp4
        yield place.store
        return
    descriptor, file = _held_copy(place, file_state(path))
    try:
        yield str(file)
    finally:
        let_go(descriptor)


def copy_of(place: Place, state: FileState) -> Path:
    """Where the copy of a source in this state lies, or will lie."""
    identity = place.digest or f"{state.path}|{object_state(place.store).tag}|{state.mtime_ns}"
    key = hashlib.sha256(f"{identity}|{state.size}|{place.name}".encode(errors="surrogateescape")).hexdigest()
    return copy_settings().folder / key[:2] / key[2:32] / (file_name(place.name).lstrip(".") or "video")


def _held_copy(place: Place, state: FileState) -> tuple[int, Path]:
    file = copy_of(place, state)
    for _ in range(ATTEMPTS):
        try:
            descriptor = _hold(file, state)
            if descriptor is not None:
                return descriptor, file
            _fetch(place, state, file)
        except FileNotFoundError:  # whoever makes room removed the empty folder under us
            continue
        except OSError as error:
            raise RemoteError(
                f"{place.source}: its copy cannot be written to {copy_settings().folder} ({error.strerror or error}); "
                f"make room, lower {LIMIT}, or set {FOLDER} to another folder"
            ) from error
    raise RemoteError(f"{place.source}: its copy in {copy_settings().folder} was removed while it was read; run again")


def _hold(file: Path, state: FileState) -> int | None:
    """A descriptor that keeps the copy from being removed; None where there is none, or one that is not whole."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    lock(descriptor, alone=False)
    with suppress(FileNotFoundError):
        status = os.fstat(descriptor)
        if os.path.samestat(status, os.stat(file)):
            if status.st_size == state.size:
                with suppress(PermissionError):  # somebody else's copy, in a folder that people share
                    os.utime(file, ns=(time.time_ns(), state.mtime_ns))
                return descriptor
            file.unlink()
    let_go(descriptor)
    return None


def _fetch(place: Place, state: FileState, file: Path) -> None:
    """Make the copy, unless another process has made it meanwhile."""
    settings = copy_settings()
    with locked(settings.folder, file.parent.name):
        if file.exists():
            return
        make_room(settings, state.size, place.source)
        place = located(place)
        span = None if place.offset is None else (place.offset, place.offset + state.size)
        with replacing(file) as temporary:
            if is_address(place.store):
                digest = download(place.store, temporary, span, state.size)
                _refuse_changed(place)
            else:
                digest = _cut_out(place, temporary, state.size)
            _check(place, temporary.stat().st_size, state.size, digest)
            os.utime(temporary, ns=(time.time_ns(), state.mtime_ns))


def _refuse_changed(place: Place) -> None:
    """RemoteError where the object is another by now than the one that was asked for."""
    if not place.digest and not stat_of(place.store).is_same(object_state(place.store)):
        raise RemoteError(f"{place.source}: was replaced since this command looked at it; run the same command again")


def _cut_out(place: Place, target: Path, size: int) -> str:
    """Copy a member out of a tar file of this disk; the SHA-256 of its bytes."""
    digest, left = hashlib.sha256(), size
    try:
        source = open(place.store, "rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise RemoteError(
            f"{place.store}: cannot be read ({error.strerror}); check the path of the tar file"
        ) from error
    with source, open(target, "wb") as file:
        source.seek(place.offset or 0)
        while block := source.read(min(left, 1 << 20)):
            digest.update(block)
            file.write(block)
            left -= len(block)
    return digest.hexdigest()


def _check(place: Place, held: int, expected: int, digest: str) -> None:
    if held != expected:
        raise RemoteError(f"{place.source}: {held} of {expected} bytes are there; it was cut off. Write it again")
    if place.digest and digest[:DIGEST_LETTERS] != place.digest:
        raise RemoteError(
            f"{place.source}: its bytes are not those that the index of the shards names: the tar file was replaced or "
            "is damaged; pack the shards again, or fetch the index that belongs to them"
        )
