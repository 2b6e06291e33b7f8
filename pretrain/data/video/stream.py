"""Every picture of a video in order, without holding them all."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from pretrain.data.video.decode import StreamDamaged
from pretrain.data.video.frame_folder import FrameFolderReader
from pretrain.data.video.index_cache import IndexCache
from pretrain.data.video.info import VideoError
from pretrain.data.video.pyav_reader import Picture, exact_frames

FOLDER_BLOCK = 64


def stream_frames(path: str, size: tuple[int, int] | None, cache: IndexCache) -> Iterator[np.ndarray]:
    """Yield what `read_frames` gives for frames 0, 1, 2, ...: uint8 RGB (height, width, 3), read by PyAV.

    Raises VideoError, perhaps after some pictures: not all frames that the index promises decode.
    """
    if os.path.isdir(path):
        yield from _stream_folder(path, size, cache)
        return
    index = cache.get(path)
    picture = Picture(index, size)
    done = 0
    try:
        for number, frame in exact_frames(path, index, np.arange(index.num_frames)):
            if number != done:
                raise VideoError(f"{path}: frame {done} does not decode (damaged); leave it out")
            yield picture.rgb(frame)
            done += 1
    except StreamDamaged:
        raise VideoError(f"{path}: damaged at frame {done} or soon after; leave it out") from None
    if done < index.num_frames:
        raise VideoError(f"{path}: {done} of {index.num_frames} frames decode (damaged); leave it out")


def _stream_folder(path: str, size: tuple[int, int] | None, cache: IndexCache) -> Iterator[np.ndarray]:
    reader = FrameFolderReader()
    count = reader.probe(path, cache).num_frames
    for start in range(0, count, FOLDER_BLOCK):
        yield from reader.read(path, np.arange(start, min(start + FOLDER_BLOCK, count)), size, cache)
