"""Chosen pictures of a video file in order, decoded once from its beginning, never all of them held."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pretrain.data.video.container import open_stream
from pretrain.data.video.decode import StreamDamaged, decode_frames
from pretrain.data.video.index_cache import IndexCache
from pretrain.data.video.info import VideoError
from pretrain.data.video.pyav_reader import Picture


def stream_file(
    path: str, frames: np.ndarray, size: tuple[int, int] | None, cache: IndexCache
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each of `frames` (increasing, within the video) with its picture, uint8 RGB (height, width, 3).

    A picture is valid until the next one. Raises VideoError, perhaps after some pictures.
    """
    index = cache.get(path)
    picture, done = Picture(index, size), 0
    try:
        with open_stream(path) as (container, stream):
            for number, frame in decode_frames(container, stream, index, 0, frames):
                if number != frames[done]:
                    raise VideoError(f"{path}: frame {frames[done]} does not decode (damaged); leave it out")
                yield number, picture.rgb(frame)
                done += 1
    except StreamDamaged:
        pass
    if done == len(frames):
        return
    if index.facts.is_counted:
        raise VideoError(f"{path}: frame {frames[done]} does not decode (damaged); leave it out")
    # the index was made without decoding; if all its frames do decode, damage and all, they are what they are
    counted = cache.get(path, count=True)
    if counted.num_frames != index.num_frames:
        raise VideoError(
            f"{path}: damaged: its packets promise {index.num_frames} frames, {counted.num_frames} decode; leave it out"
        )
    yield from stream_file(path, frames[done:], size, cache)
