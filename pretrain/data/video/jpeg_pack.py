"""JPEG packs: the frames of one video as JPEG images in one file, each read by its offset.

    header     32 bytes: b"JPEGPACK", version, height, width, frames (uint32 each), offset of the tables (uint64)
    images     the JPEG files, one after another
    tables     frames + 1 offsets (uint64), frames times in seconds (float64); the file ends here

All numbers are little-endian. The tables come last, so that a pack is written in one go; a pack that was cut off is
noticed by its length.
"""

from __future__ import annotations

import io
import mmap
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from PIL import Image

from pretrain.data.video.container import FFMPEG_ERRORS, check_file, local_file
from pretrain.data.video.decode import plane_rows
from pretrain.data.video.info import VideoError, VideoInfo
from pretrain.data.video.packet_index import rate_of

if TYPE_CHECKING:
    from pretrain.data.video.index_cache import IndexCache

SUFFIX = ".jpegpack"
VERSION = 1
_MAGIC = b"JPEGPACK"
_HEADER = struct.Struct("<8sIIIIQ")


class JpegPackReader:
    """Reads single frames of a pack; touches only their own pages of the file."""

    def probe(self, path: str, cache: IndexCache | None) -> VideoInfo:
        pack = _Pack(path)
        fps, constant, seconds = rate_of(pack.times, 0.0)
        return VideoInfo(len(pack.times), fps, pack.width, pack.height, seconds, "jpegpack", 0, constant)

    def frame_times(self, path: str, cache: IndexCache | None) -> np.ndarray:
        return _Pack(path).times.copy()

    def read(self, path: str, frames: np.ndarray, size: tuple[int, int] | None, cache: IndexCache | None) -> np.ndarray:
        pack = _Pack(path)
        height, width = size or (pack.height, pack.width)
        decoder = av.CodecContext.create("mjpeg", "r")  # with the conversion less than half of Pillow's time (measured)
        decoder.thread_count = 1
        shrinks = height <= pack.height and width <= pack.width
        method = Interpolation.AREA if shrinks else Interpolation.BILINEAR
        reformatter = VideoReformatter()
        out = np.empty((len(frames), height, width, 3), np.uint8)
        for place, number in enumerate(frames.tolist()):
            frame = pack.decode(decoder, number)
            image = reformatter.reformat(frame, width, height, "rgb24", interpolation=method, threads=1)
            out[place] = plane_rows(image.planes[0])[:, : 3 * width].reshape(height, width, 3)
        return out


class JpegPackWriter:
    """Writes a pack of pictures of one size `(height, width)` at these times (seconds); a context manager.

    The tables are written on a clean exit only. It writes in place: give it a temporary path.
    """

    def __init__(self, path: Path, size: tuple[int, int], times: np.ndarray, quality: int) -> None:
        self._size, self._times, self._quality = size, np.asarray(times, "<f8"), quality
        self._offsets = [_HEADER.size]
        self._file: BinaryIO = open(path, "wb")  # noqa: SIM115 (closed by __exit__)
        self._file.write(bytes(_HEADER.size))

    def add(self, picture: np.ndarray) -> None:
        """Append one picture, uint8 RGB (height, width, 3)."""
        image = io.BytesIO()
        Image.fromarray(picture).save(image, "JPEG", quality=self._quality)
        self._offsets.append(self._offsets[-1] + self._file.write(image.getbuffer()))

    def __enter__(self) -> JpegPackWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with self._file:
            if kind is None:
                count = len(self._offsets) - 1
                self._file.write(np.array(self._offsets, "<u8").tobytes() + self._times[:count].tobytes())
                self._file.seek(0)
                self._file.write(_HEADER.pack(_MAGIC, VERSION, *self._size, count, self._offsets[-1]))


class _Pack:
    """An open pack, mapped into memory for as long as something looks at it."""

    def __init__(self, path: str) -> None:
        self._path = path
        with local_file(path) as own:
            check_file(path, own)
            with open(own, "rb") as file:
                self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if len(self._bytes) < _HEADER.size or self._bytes[: len(_MAGIC)] != _MAGIC:
            raise VideoError(f"{path}: not a JPEG pack; run scripts/build_cache.py again")
        _, version, self.height, self.width, count, tables = _HEADER.unpack_from(self._bytes)
        if version != VERSION:
            raise VideoError(
                f"{path}: a JPEG pack of version {version}, not {VERSION}; run scripts/build_cache.py again"
            )
        if len(self._bytes) != tables + 8 * (2 * count + 1) or not count:
            raise VideoError(f"{path}: a JPEG pack that was cut off; run scripts/build_cache.py again")
        self._offsets = np.frombuffer(self._bytes, "<u8", count + 1, tables)
        self.times: np.ndarray = np.frombuffer(self._bytes, "<f8", count, tables + 8 * (count + 1))
        offsets = self._offsets.astype(np.float64)
        in_place = offsets[0] == _HEADER.size and offsets[-1] == tables and bool((np.diff(offsets) > 0).all())
        if not in_place or not np.isfinite(self.times).all() or (np.diff(self.times) < 0).any():
            raise VideoError(f"{path}: a damaged JPEG pack, its tables do not fit; run scripts/build_cache.py again")
        if not (0 < self.height <= 1 << 14 and 0 < self.width <= 1 << 14):
            size = f"{self.width}x{self.height}"
            raise VideoError(f"{path}: a JPEG pack of pictures of {size} pixels; run scripts/build_cache.py again")

    def decode(self, decoder: Any, number: int) -> Any:
        """Frame `number` as FFmpeg decodes it. Raises VideoError."""
        start, end = int(self._offsets[number]), int(self._offsets[number + 1])
        try:
            (frame,) = decoder.decode(av.Packet(self._bytes[start:end]))
        except (*FFMPEG_ERRORS, ValueError) as error:  # ValueError: not exactly one frame
            raise VideoError(f"{self._path}: frame {number} does not decode ({error}); build it again") from error
        if frame.is_corrupt or (frame.height, frame.width) != (self.height, self.width):
            raise VideoError(f"{self._path}: frame {number} is damaged; build it again")
        return frame
