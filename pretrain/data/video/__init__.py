"""Reading video behind one seam: `probe`, `read_frames`, `stream_frames`, `frame_times`.

    info = probe("street.mp4")
    frames = read_frames("street.mp4", [0, 30, 30, 15], size=(72, 96))   # uint8 (4, 72, 96, 3)
    for number, picture in stream_frames("street.mp4", range(info.num_frames)):
        ...                                                              # one at a time, decoded in order

Frame `i` is the i-th frame in presentation order that a decode of the whole file gives, with either reader and however
it was reached. `cache` keeps the packet indexes of the default reader between runs and processes; without one they are
kept in memory. A folder of images is a video too, whichever reader is named.

What is imported from here is all that the rest of the project needs of this package (`tests/test_layers.py`). Live
input, which has no index, decodes by itself: `open_stream`, `packets_of`, `StoredPicture` and `Picture` are for that.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from pretrain.data.remote import is_remote
from pretrain.data.video.container import FFMPEG_ERRORS, local_file, open_stream, pixel_aspect_of
from pretrain.data.video.decode import packets_of
from pretrain.data.video.decord_reader import DecordReader
from pretrain.data.video.frame_clock import GAP_SECONDS, GAP_STEPS, Clock, FrameClock, clock_of
from pretrain.data.video.frame_folder import IMAGE_SUFFIXES, FrameFolderReader, image_names
from pretrain.data.video.index_cache import IndexCache
from pretrain.data.video.info import VideoError, VideoInfo, cover_size, reading
from pretrain.data.video.jpeg_pack import SUFFIX as JPEG_PACK_SUFFIX
from pretrain.data.video.jpeg_pack import JpegPackReader, JpegPackWriter
from pretrain.data.video.limits import MAX_PIXELS, check_picture
from pretrain.data.video.packet_index import CORRUPT, DISCARD, PacketIndex
from pretrain.data.video.pyav_reader import SHARED_INDEXES, Picture, PyAVReader, StoredPicture
from pretrain.data.video.stream import stream_file
from pretrain.errors import UserError, nearest

__all__ = [
    "CORRUPT",
    "DISCARD",
    "FFMPEG_ERRORS",
    "GAP_SECONDS",
    "GAP_STEPS",
    "IMAGE_SUFFIXES",
    "JPEG_PACK_SUFFIX",
    "MAX_PIXELS",
    "READERS",
    "Clock",
    "FrameClock",
    "IndexCache",
    "JpegPackWriter",
    "PacketIndex",
    "Picture",
    "StoredPicture",
    "VideoError",
    "VideoInfo",
    "check_picture",
    "clock_of",
    "cover_size",
    "frame_times",
    "has_times",
    "image_names",
    "is_media_file",
    "local_file",
    "open_stream",
    "packets_of",
    "pixel_aspect_of",
    "probe",
    "read_frames",
    "reading",
    "stream_frames",
    "video_clock",
]

STREAM_BLOCK, STREAM_BYTES = 64, 64 << 20
"""Frames read at a time, and bytes they may take, from what is no stream: a folder of images, a JPEG pack."""


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
    """What the video at `path` is. Raises VideoError, naming the file and the reason, when it cannot be read.

    So it does for a picture beyond the limits (`limits`), before one is decoded.
    """
    path = str(path)
    with reading(path):
        info = _reader_for(path, reader).probe(path, cache)
    check_picture(path, info.width, info.height)
    return info


def frame_times(path: str | Path, *, reader: str = "pyav", cache: IndexCache | None = None) -> np.ndarray:
    """float64 (num_frames,): seconds of each frame after the first one. Raises VideoError."""
    with reading(str(path)):
        return _reader_for(str(path), reader).frame_times(str(path), cache)


def video_clock(path: str | Path, *, cache: IndexCache | None = None) -> FrameClock:
    """The video's clock: all that is said of it in seconds comes from its frames' own times. Raises VideoError."""
    return FrameClock.of_times(frame_times(path, cache=cache), probe(path, cache=cache).fps)


def has_times(path: str | Path) -> bool:
    """Whether something is there that says when its frames are shown; a folder of images does not."""
    return is_remote(str(path)) or os.path.isfile(path)


def read_frames(
    path: str | Path,
    indices: Sequence[int] | np.ndarray,
    *,
    size: tuple[int, int] | None = None,
    reader: str = "pyav",
    cache: IndexCache | None = None,
) -> np.ndarray:
    """Frames by number, RGB uint8 `(len(indices), height, width, 3)`, as they are displayed: turned, square pixels.

    `indices` may come in any order and repeat; the file is opened once and each frame decoded at most once. `size` is
    `(height, width)`; None keeps the video's own. Raises VideoError: unreadable, damaged, or no such frame.
    """
    asked = np.asarray(indices, np.int64).reshape(-1)
    if size is not None and min(size) < 1:
        raise UserError(f"size {size}: height and width must be at least 1 pixel")
    frames, places = np.unique(asked, return_inverse=True)
    info = probe(path, reader=reader, cache=cache)
    _refuse_beyond(str(path), frames, info.num_frames)
    if not len(frames):
        return np.empty((0, *(size or (info.height, info.width)), 3), np.uint8)
    with reading(str(path)):
        read = _reader_for(str(path), reader).read(str(path), frames, size, cache)
    return read if len(frames) == len(asked) and np.all(np.diff(asked) > 0) else read[places.reshape(-1)]


def stream_frames(
    path: str | Path,
    frames: Iterable[int] | np.ndarray,
    *,
    size: tuple[int, int] | None = None,
    cache: IndexCache | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """What `read_frames` gives for these frames (increasing), one by one with their numbers.

    uint8 RGB (height, width, 3), valid until the next. A file is decoded once, by PyAV, from its beginning on. Raises
    VideoError, perhaps after some pictures.
    """
    path = str(path)
    wanted = np.fromiter(frames, np.int64)
    info = probe(path, cache=cache)
    _refuse_beyond(path, wanted, info.num_frames)
    if is_media_file(path):
        with reading(path):
            yield from stream_file(path, wanted, size, cache or SHARED_INDEXES)
        return
    height, width = size or (info.height, info.width)
    at_a_time = min(STREAM_BLOCK, max(1, STREAM_BYTES // (3 * height * width)))
    names = image_names(path) if os.path.isdir(path) else ()
    for start in range(0, len(wanted), at_a_time):
        block = wanted[start : start + at_a_time]
        if names and image_names(path)[: len(names)] != names:  # numbers would mean other pictures from here on
            raise VideoError(
                f"{path}: images were removed, or others put between them, while it was read; read it again"
            )
        yield from zip(block.tolist(), read_frames(path, block, size=size, cache=cache), strict=True)


def is_media_file(path: str) -> bool:
    """Whether FFmpeg opens it (it may have sound): no folder of images, no JPEG pack."""
    return not os.path.isdir(path) and not path.endswith(JPEG_PACK_SUFFIX)


def _refuse_beyond(path: str, frames: np.ndarray, num_frames: int) -> None:
    """VideoError unless all of `frames` (increasing) are frames of the video."""
    if len(frames) and (frames[0] < 0 or frames[-1] >= num_frames):
        wrong = frames[0] if frames[0] < 0 else frames[-1]
        raise VideoError(f"{path}: no frame {wrong}: it has {num_frames} frames, numbered 0 to {num_frames - 1}")


def _reader_for(path: str, reader: str) -> Reader:
    if os.path.isdir(path):
        return _FOLDERS
    if path.endswith(JPEG_PACK_SUFFIX):
        return _JPEG_PACKS
    if reader not in READERS:
        raise UserError(f"unknown reader '{reader}'{nearest(reader, READERS)}; there are: {', '.join(READERS)}")
    return READERS[reader]
