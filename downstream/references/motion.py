"""Motion energy of a video file: how much its frames differ from one to the next. The reference of pixels.

On fights it is strong; what a detector says of them is worth something only where it says more.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from downstream.references.measures import Floats, moving_mean
from pretrain.data.geometry import NO_BORDER, BorderCrop, even
from pretrain.data.video import IndexCache, VideoError, VideoInfo, probe, stream_frames

MAX_WIDTH = 160
"""Pixels that frames are scaled down to: noise of sensors averages out, and decoding is what costs."""
SMOOTHED_FRAMES = 15


def motion_energy(
    path: str, edges: NDArray[np.int64], border: BorderCrop = NO_BORDER, cache: IndexCache | None = None
) -> Floats:
    """(snippets,): mean absolute difference of successive grey frames, 0 to 255, of each snippet's frames.

    Smoothed over 15 frames, or the nearest whole number of snippets (of 16 frames: none beside itself). A frame's
    difference is that to the frame before it; the first has none. Snippets past the last frame take what stands before
    them. One frame in memory at a time. `edges` (snippets + 1,); `border`: shares cut off at top, bottom, left, right.
    Raises VideoError.
    """
    sums, counts = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for frame, difference in frame_differences(path, border, cache):
        if frame >= edges[-1]:
            break
        snippet = int(np.searchsorted(edges, frame, side="right")) - 1
        sums[snippet] += difference
        counts[snippet] += 1
    seen = np.flatnonzero(counts)
    if not len(seen):  # a single frame
        return np.zeros(len(counts))
    nearest = seen[np.maximum(np.searchsorted(seen, np.arange(len(counts)), side="right") - 1, 0)]
    energy = sums[nearest] / counts[nearest]
    return moving_mean(energy, max(1, round(SMOOTHED_FRAMES / int(edges[1] - edges[0]))))


def frame_differences(path: str, border: BorderCrop, cache: IndexCache | None) -> Iterator[tuple[int, float]]:
    """Frame number, from 1 on, and how much it differs from the frame before it. VideoError."""
    info = probe(path, cache=cache)
    if info.num_frames < 1:
        raise VideoError(f"{path}: no frame decodes; leave it out")
    size = small_size(info)
    top, bottom, left, right = border
    rows = slice(round(top * size[0]), size[0] - round(bottom * size[0]))
    columns = slice(round(left * size[1]), size[1] - round(right * size[1]))
    last: NDArray[np.float32] | None = None
    for number, picture in stream_frames(path, range(info.num_frames), size=size, cache=cache):
        grey = picture[rows, columns].mean(axis=2, dtype=np.float32)
        if last is not None:
            yield number, float(np.abs(grey - last).mean())
        last = grey


def small_size(info: VideoInfo) -> tuple[int, int]:
    """Height and width to decode at: at most 160 pixels wide, never enlarged but to an even number."""
    scale = min(1.0, MAX_WIDTH / info.width)
    return even(info.height * scale - 1e-6), even(info.width * scale - 1e-6)  # less a hair: 90.0000001 is 90
