"""Reading a video's features part by part, so that what is in memory does not grow with the video or the set."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from downstream.features.fusion import FusedFeatures
from downstream.features.normalising import BLOCK_BYTES


def blocks(source: FusedFeatures, name: str) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """A video's snippets in order, a few at a time: the number of the first, and float32 (snippets, places, dim)."""
    snippets = source.videos[name].snippets
    size = max(1, BLOCK_BYTES // (4 * source.stored_crops_or_cells * source.dim))
    for start in range(0, snippets, size):
        yield start, source.read(name, slice(start, min(start + size, snippets)))
