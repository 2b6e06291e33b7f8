"""Reading video behind one seam: `probe`, `read_frames`, `frame_times`.

    info = probe("street.mp4")
    frames = read_frames("street.mp4", [0, 30, 30, 15], size=(72, 96))   # uint8 (4, 72, 96, 3)

Frame `i` is the i-th frame in presentation order that a decode of the whole file gives, with either reader and however
it was reached. `cache` keeps the packet indexes of the default reader between runs and processes; without one they are
kept in memory. A folder of images is a video too, whichever reader is named.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from pretrain.data.video.decord_reader import DecordReader
from pretrain.data.video.frame_folder import FrameFolderReader
from pretrain.data.video.index_cache import IndexCache
from pretrain.data.video.info import VideoError, VideoInfo, cover_size
from pretrain.data.video.jpeg_pack import SUFFIX as JPEG_PACK_SUFFIX
from pretrain.data.video.jpeg_pack import JpegPackReader
from pretrain.data.video.pyav_reader import PyAVReader
from pretrain.errors import UserError, nearest

__all__ = ["READERS", "IndexCache", "VideoError", "VideoInfo", "cover_size", "frame_times", "probe", "read_frames"]


class Reader(Protocol):
    """What a reader offers; `frames` are increasing numbers within the video, `size` is `(height, width)`."""

    def probe(self, path: str, cache: IndexCache | None) -> VideoInfo: ...
    def frame_times(self, path: str, cache: IndexCache | None) -> np.ndarray: ...
    def read(
        self, path: str, frames: np.ndarray, size: tuple[int, int] | None, cache: IndexCache | None
    ) -> np.ndarray: ...


READERS: dict[str, Reader] = {"pyav": PyAVReader(), "decord": DecordReader()}
_FOLDERS = FrameFolderReader()
_JPEG_PACKS = JpegPackReader()


def probe(path: str | Path, *, reader: str = "pyav", cache: IndexCache | None = None) -> VideoInfo:
    """What the video at `path` is. Raises VideoError, naming the file and the reason, when it cannot be read."""
    return _reader_for(str(path), reader).probe(str(path), cache)


def frame_times(path: str | Path, *, reader: str = "pyav", cache: IndexCache | None = None) -> np.ndarray:
    """float64 (num_frames,): seconds of each frame after the first one. Raises VideoError."""
    return _reader_for(str(path), reader).frame_times(str(path), cache)


def read_frames(
    path: str | Path,
    indices: Sequence[int] | np.ndarray,
    *,
    size: tuple[int, int] | None = None,
    reader: str = "pyav",
    cache: IndexCache | None = None,
) -> np.ndarray:
    """Frames by number, RGB uint8 `(len(indices), height, width, 3)`, turned as they are to be displayed.

    `indices` may come in any order and repeat; the file is opened once and each frame decoded at most once. `size` is
    `(height, width)`; None keeps the video's own. Raises VideoError: unreadable, damaged, or no such frame.
    """
    asked = np.asarray(indices, np.int64).reshape(-1)
    if size is not None and min(size) < 1:
        raise UserError(f"size {size}: height and width must be at least 1 pixel")
    chosen = _reader_for(str(path), reader)
    frames, places = np.unique(asked, return_inverse=True)
    num_frames = chosen.probe(str(path), cache).num_frames
    if len(frames) and (frames[0] < 0 or frames[-1] >= num_frames):
        wrong = frames[0] if frames[0] < 0 else frames[-1]
        raise VideoError(f"{path}: no frame {wrong}: it has {num_frames} frames, numbered 0 to {num_frames - 1}")
    if not len(frames):
        info = chosen.probe(str(path), cache)
        return np.empty((0, *(size or (info.height, info.width)), 3), np.uint8)
    read = chosen.read(str(path), frames, size, cache)
    return read if len(frames) == len(asked) and np.all(np.diff(asked) > 0) else read[places.reshape(-1)]


def _reader_for(path: str, reader: str) -> Reader:
    if os.path.isdir(path):
        return _FOLDERS
    if path.endswith(JPEG_PACK_SUFFIX):
        return _JPEG_PACKS
    if reader not in READERS:
        raise UserError(f"unknown reader '{reader}'{nearest(reader, READERS)}; there are: {', '.join(READERS)}")
    return READERS[reader]
