"""One shard: files one after another in a tar file, the same bytes whoever writes it, and when."""

from __future__ import annotations

import hashlib
import tarfile
from typing import BinaryIO, NamedTuple

from pretrain.data.remote.tar_file import BLOCK

COPY_BYTES = 1 << 20


class Stored(NamedTuple):
    """Where a file lies in the shard."""

    offset: int
    """Of its first byte."""
    size: int
    sha256: str
    """Hex digits."""


class ShardWriter:
    """Writes members into an open file. Owner, rights and time are the same for all: nothing but content decides."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._at = file, 0

    def add(self, name: str, source: BinaryIO, size: int) -> Stored:
        """Append `size` bytes of an open file as a member. EOFError where it holds another number of bytes.

        A file that fails leaves the shard as it was before it.
        """
        header = tarfile.TarInfo(name)
        header.size, header.mode = size, 0o644
        block = header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        start, digest, left = self._at, hashlib.sha256(), size
        try:
            self._write(block)
            offset = self._at
            while content := source.read(min(COPY_BYTES, left)):
                digest.update(content)
                self._write(content)
                left -= len(content)
            if left or source.read(1):
                raise EOFError("it changed while it was packed; run again when it is complete")
            self._write(bytes(-size % BLOCK))
        except BaseException:
            self._at = start
            self._file.seek(start)
            self._file.truncate()
            raise
        return Stored(offset, size, digest.hexdigest())

    def close(self) -> int:
        """Write the end of the shard; its bytes in all."""
        self._write(bytes(2 * BLOCK))
        self._write(bytes(-self._at % tarfile.RECORDSIZE))
        return self._at

    def _write(self, content: bytes) -> None:
        self._at += self._file.write(content)
