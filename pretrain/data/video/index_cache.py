"""Where packet indexes are kept: in memory, and in a folder that many processes may share."""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from pathlib import Path
from typing import Any

from pretrain.data.remote import file_state
from pretrain.data.video.build_index import build_index
from pretrain.data.video.container import check_file
from pretrain.data.video.info import reading
from pretrain.data.video.packet_index import PacketIndex
from pretrain.data.video.stored_index import VERSION, load_index, save_index
from pretrain.errors import UserError
from pretrain.reading import Unreadable

logger = logging.getLogger(__name__)

MAX_IN_MEMORY = 64


class IndexCache:
    """Packet indexes by absolute path, size and modification time of the video.

    `folder` None keeps them in memory only. Any number of processes may share a folder: files are written under a
    temporary name and renamed, a damaged or forged one is built anew, which is logged. An index of a file that has
    since changed is never found again (it may be deleted with the folder at any time). The last 64 indexes used stay in
    memory.
    """

    def __init__(self, folder: Path | str | None) -> None:
        self.folder = Path(folder) if folder is not None else None
        self._memory: OrderedDict[str, PacketIndex] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:  # to a worker goes the folder, not what is in memory
        return {"folder": self.folder, "_memory": OrderedDict()}

    def get(self, path: str | Path, *, count: bool = False) -> PacketIndex:
        """The index of the video at `path`, built when it is not there yet.

        `count` asks for one whose frames were counted by decoding; it replaces a derived one. Raises VideoError.
        """
        path = str(path)
        key = self._key(path)
        index = self._memory.get(key) or self._load(key)
        if index is None or (count and not index.facts.is_counted):
            with reading(path):
                index = build_index(path, count=count)
            self._store(key, index)
        self._memory[key] = index
        self._memory.move_to_end(key)
        while len(self._memory) > MAX_IN_MEMORY:
            self._memory.popitem(last=False)
        return index

    def path_of(self, path: str | Path) -> Path | None:
        """The file that holds (or will hold) the index of this video; None without a folder."""
        return self._file(self._key(str(path)))

    def _key(self, path: str) -> str:
        with reading(path):
            try:
                state = file_state(path)  # nothing is fetched: an index that is kept needs no video
            except OSError:
                check_file(path)  # its words are better
                raise
        identity = f"{VERSION}|{state.path}|{state.size}|{state.mtime_ns}"
        return hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()[:40]

    def _file(self, key: str) -> Path | None:
        return self.folder / key[:2] / f"{key}.npz" if self.folder is not None else None

    def _load(self, key: str) -> PacketIndex | None:
        file = self._file(key)
        if file is None or not file.exists():
            return None
        try:
            return load_index(file)
        except Unreadable as error:
            logger.warning("the packet index %s is built anew: %s", file, error)
            return None

    def _store(self, key: str, index: PacketIndex) -> None:
        file = self._file(key)
        if file is None:
            return
        try:
            save_index(index, file)
        except OSError as error:
            raise UserError(
                f"cannot write to the index cache {self.folder}: {error.strerror or error}; "
                "free some space or choose another folder"
            ) from error
