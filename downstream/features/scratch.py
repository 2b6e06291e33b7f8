"""Arrays too large for memory that nobody keeps: in a nameless file, so that a video of any length can be worked on.

rows = scratch_array((snippets, cells, dim), np.float32)
rows[:100] = ...
drop_pages(rows)   # what was written is in the file now and no memory of this process; it reads back as ever
"""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pretrain.errors import UserError
from pretrain.files import reserve

IN_MEMORY_BYTES = 64 << 20
"""Smaller arrays are plain memory."""


def scratch_array(shape: tuple[int, ...], dtype: DTypeLike, limit: int = IN_MEMORY_BYTES) -> NDArray[Any]:
    """Zeros of that shape; beyond `limit` bytes in a file of the temporary folder that has no name any more.

    The file goes with the array. UserError where the disk has no room for it.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= limit:
        return np.zeros(shape, dtype)
    descriptor, name = tempfile.mkstemp(prefix="anomaly-pretext-", suffix=".scratch")
    try:
        os.ftruncate(descriptor, size)
        try:
            reserve(Path(name))
        except OSError as error:
            raise UserError(
                f"{Path(name).parent} has no room for {size / 1e9:.1f} GB of features that are needed only for a while "
                f"({error.strerror}); free some space, or set TMPDIR to a folder on another disk"
            ) from error
        return np.memmap(name, dtype, mode="r+", shape=shape)
    finally:
        os.close(descriptor)
        os.unlink(name)


def drop_pages(array: NDArray[Any]) -> None:
    """Give the memory of an array that lies in a file back to the system, which writes it there when it likes.

    Never a loss: read again, it comes back. Arrays in plain memory and copies on write, whose changes are in no file,
    are left alone.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and base.mode == "c":
            return
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)  # a shared mapping: changed pages stay in the system's cache of the file
