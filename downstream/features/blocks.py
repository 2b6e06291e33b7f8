"""Reading parts of a video's features, so that what is in memory does not grow with the video or the set."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downstream.features.fusion import FusedFeatures, normalised

BLOCK_BYTES = 16 << 20
"""A video is read in blocks of so many bytes (as float32): one of nine hours with ten crops would be 5 GB at once."""


def read_rows(source: FusedFeatures, name: str, rows: slice | NDArray[np.int64]) -> NDArray[np.float32]:
    """float32 (rows, crops, dim): some snippets of a video; only these are read, unless `normalise` wants them all."""
    if source.normalise == "video":
        return source.read(name)[rows]
    parts = []
    for part in source.sets:
        stored = part.read(name)
        features = normalised(stored[rows], source.normalise)
        parts.append(np.broadcast_to(features, (len(features), source.crops, features.shape[2])))
        release(stored)
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def blocks(source: FusedFeatures, name: str) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """A video's snippets in order, a few at a time: the number of the first, and float32 (snippets, crops, dim)."""
    snippets = source.videos[name].snippets
    size = snippets if source.normalise == "video" else max(1, BLOCK_BYTES // (4 * source.crops * source.dim))
    for start in range(0, snippets, size):
        yield start, read_rows(source, name, slice(start, min(start + size, snippets)))


def release(array: NDArray[Any]) -> None:
    """Unmap the pages of a read-only memory-mapped array: the system keeps them, but they are no memory of ours.

    Read again, they come back. Other arrays are left alone.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and not array.flags.writeable and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
