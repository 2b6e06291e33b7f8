"""Stores through fsspec: what an object is, its bytes, what lies under an address. Errors of any of them are ours.

A broken connection is tried again, with growing waits; what a store refuses (no such object, no permission) is not.
File systems are asked for anew each time: fsspec keeps them by process, so that forked readers have connections of
their own.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from pretrain.data.remote.address import plain_addresses
from pretrain.data.remote.errors import RemoteError
from pretrain.errors import UserError

logger = logging.getLogger(__name__)

WAITS = (0.5, 2.0, 8.0)
"""Seconds before each further attempt."""
BLOCK_BYTES = 8 << 20
"""A range is asked for in parts of so many bytes."""
_EXTRAS = {"s3": "anomaly-pretext[remote]", "s3a": "anomaly-pretext[remote]"}
_OTHERS = {"gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp", "az": "adlfs", "abfs": "adlfs"}
_BUCKETS = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "hf"}
"""Stores without folders: making one would make a bucket of a wrong name."""
_TAGS = ("ETag", "etag", "generation", "md5Hash", "content_md5", "blob_id", "version_id")
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "modified", "created")

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Stat:
    """What a store says of an object: as long as this is the same, so are its bytes."""

    size: int
    """Bytes."""
    mtime_ns: int
    """Time of the last change; where the store has none, a time that its tag decides."""
    tag: str
    """What the store calls this state of it (its ETag); empty where it has nothing of the kind."""

    def is_same(self, other: Stat) -> bool:
        """Whether these are the same bytes; times count where there are no tags."""
        if self.tag or other.tag:
            return (self.size, self.tag) == (other.size, other.tag)
        return self == other


def stat_of(address: str) -> Stat:
    """What the store says of an object now: one small request. RemoteError."""
    return _stat(address, _asked(address, lambda system, path: system.info(path)))


def stats_below(address: str) -> dict[str, Stat]:
    """Every object under a folder, by its path relative to it, in order. RemoteError; empty where there is none."""
    found = _asked(address, lambda system, path: (system.find(path, detail=True), path))
    entries, top = found
    own = top.rstrip("/")
    below = {name[len(own) :].lstrip("/"): entry for name, entry in entries.items() if name.startswith(f"{own}/")}
    return {name: _stat(f"{address}/{name}", below[name]) for name in sorted(below) if name and _is_file(below[name])}


def names_in(address: str) -> dict[str, Stat | None] | None:
    """Names in a folder: of an object with its state, of a folder None; None where there is no such folder."""
    try:
        entries = _asked(address, lambda system, path: system.ls(path, detail=True))
    except RemoteError as error:
        if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
            return None
        raise
    named = {str(entry["name"]).rstrip("/").rpartition("/")[2]: entry for entry in entries}
    return {
        name: _stat(f"{address}/{name}", entry) if _is_file(entry) else None for name, entry in named.items() if name
    }


def read_range(address: str, start: int, end: int) -> bytes:
    """Bytes `[start, end)` of an object, all of them. RemoteError."""
    content: bytes = _asked(
        address, lambda system, path: _whole(system.cat_file(path, start=start, end=end), start, end)
    )
    return content


def download(address: str, target: Path, span: tuple[int, int] | None, size: int) -> str:
    """Write an object, or its bytes `[start, end)`, to a file; the SHA-256 of what was written. RemoteError.

    `size` is what is expected. OSError where this machine's disk does not take it.
    """
    if span is None:
        _asked(address, lambda system, path: _fetched_whole(system, path, target, size))
    else:
        with open(target, "wb") as file:
            for start in range(span[0], span[1], BLOCK_BYTES):
                file.write(read_range(address, start, min(start + BLOCK_BYTES, span[1])))
    digest = hashlib.sha256()
    with open(target, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def upload(source: Path, address: str) -> None:
    """Write a file of this disk to an object. RemoteError."""
    _asked(address, lambda system, path: _put(system, path, source), "written")


def remove(address: str) -> None:
    """Remove an object. RemoteError."""
    _asked(address, lambda system, path: system.rm_file(path), "removed")


def _put(system: Any, path: str, source: Path) -> None:
    kinds = {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)
    folder = path.rpartition("/")[0]
    if folder and not kinds & _BUCKETS:
        system.makedirs(folder, exist_ok=True)
    system.put_file(str(source), path)


def _fetched_whole(system: Any, path: str, target: Path, size: int) -> None:
    system.get_file(path, str(target))
    if (held := target.stat().st_size) != size:
        raise ConnectionError(f"{held} of {size} bytes came")


def _whole(content: bytes, start: int, end: int) -> bytes:
    if len(content) != end - start:
        raise ConnectionError(f"{len(content)} of {end - start} bytes came")
    return content


def _asked(address: str, ask: Callable[[Any, str], Result], done: str = "read") -> Result:
    """What `ask` gives for a file system and the path in it; tried again where the way there broke."""
    if "::" in address:
        raise UserError(f"{plain_addresses(address)}: addresses within addresses (::) are not opened; give one address")
    problem: BaseException | None = None
    for wait in (*WAITS, None):
        try:
            return ask(*_system(address))
        except UserError:
            raise
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            if not _is_connection(error.__cause__):  # of what does not answer, fsspec's https says it is not there
                raise RemoteError(
                    f"{address}: there is no such object, or no such bucket; check the address"
                ) from error
            problem = error.__cause__
        except PermissionError as error:
            raise RemoteError(
                f"{address}: may not be {done} ({_words(error)}); check the login of its store "
                "(for s3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or ~/.aws)"
            ) from error
        except Exception as error:  # each kind of store has errors of its own
            if _is_missing_login(error):
                raise RemoteError(
                    f"{address}: there is no login for its store; set it as the store's own tools have it "
                    "(for s3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws)"
                ) from error
            if _is_of_disk(error):
                raise
            problem = error
            if _is_final(error):
                raise RemoteError(f"{address}: cannot be {done} ({_words(error)}); check the address") from error
        if wait is not None:
            logger.warning("%s: %s; tried again in %g s", plain_addresses(address), _words(problem), wait)
            time.sleep(wait)
    raise RemoteError(
        f"{address}: cannot be {done} ({_words(problem)}), tried {len(WAITS) + 1} times; check the network and the "
        "store, then run the same command again"
    ) from problem


def _system(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it. UserError where no package here knows it."""
    scheme = address.partition("://")[0].lower()
    try:
        import fsspec
        from fsspec.core import url_to_fs
    except ImportError:
        raise UserError(
            f"addresses ({scheme}://) need fsspec, which is not installed: pip install 'anomaly-pretext[remote]'"
        ) from None
    if scheme not in fsspec.available_protocols():
        raise UserError(
            f"{plain_addresses(address)}: '{scheme}' is no protocol that fsspec knows; write s3://BUCKET/FOLDER, "
            "gs://BUCKET/FOLDER or the like"
        )
    try:
        # listings kept by fsspec would hide that an object changed
        system, path = url_to_fs(address, use_listings_cache=False)
    except ImportError as error:
        package = _EXTRAS.get(scheme) or _OTHERS.get(scheme)
        mend = f"pip install '{package}'" if package else str(error)
        raise UserError(f"addresses of {scheme}:// need a package that is not installed: {mend}") from None
    return system, path


def _is_missing_login(error: Exception) -> bool:
    return type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError")


def _is_connection(error: BaseException | None) -> bool:
    """Whether it tells of the way to a store, not of the store."""
    return isinstance(error, OSError | TimeoutError) and not isinstance(error, FileNotFoundError | PermissionError)


def _is_final(error: Exception) -> bool:
    """Whether the same question would have the same answer."""
    status = getattr(error, "status", None)
    refused = isinstance(status, int) and 400 <= status < 500 and status not in (408, 429)
    return refused or isinstance(error, ValueError | TypeError | NotImplementedError)


def _is_of_disk(error: Exception) -> bool:
    from pretrain.files import DISK_FULL

    return isinstance(error, OSError) and error.errno in DISK_FULL


def _words(error: BaseException | None) -> str:
    text = " ".join(str(error).split())[:300]
    return plain_addresses(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def _is_file(entry: dict[str, Any]) -> bool:
    return entry.get("type", "file") != "directory" and not str(entry.get("name", "")).endswith("/")


def _stat(address: str, entry: dict[str, Any]) -> Stat:
    size = entry.get("size")
    if entry.get("type") == "directory":
        raise RemoteError(f"{address}: a folder, not an object; give a video file")
    if not isinstance(size, int) or size < 0:
        raise RemoteError(f"{address}: its store does not say how large it is; copy it to where that is said")
    tag = next((str(entry[key]) for key in _TAGS if entry.get(key) not in (None, "")), "")
    tag = tag.removeprefix("W/").strip('"')
    time_ns = _time_ns(entry, f"{tag} {size}")
    # listings of some stores say fractions of a second that they leave out where one object is asked for
    return Stat(size, time_ns // 10**9 * 10**9 if tag else time_ns, tag)


def _time_ns(entry: dict[str, Any], otherwise: str) -> int:
    value = next((entry[key] for key in _TIMES if entry.get(key) not in (None, "")), None)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            value = None
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()
    return int(value * 1e9) if isinstance(value, int | float) and 0 < value < 1e10 else made_up_time(otherwise)


def made_up_time(of: str) -> int:
    """Nanoseconds, of a time that a text decides: for what has no time of its own."""
    return (1_000_000_000 + int(hashlib.sha256(of.encode(errors="surrogateescape")).hexdigest()[:7], 16)) * 10**9
