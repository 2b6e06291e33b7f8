"""A folder of images as a video: frame `i` is the i-th image in natural order (`2.jpg` before `10.jpg`)."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pretrain.data.video.image_file import SAMPLED_IMAGES, highest_value, image_size, rgb_image, used_bits
from pretrain.data.video.info import VideoError, VideoInfo, reading

if TYPE_CHECKING:
    from pretrain.data.video.index_cache import IndexCache

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jpe", ".jfif", ".jp2", ".ppm", ".pgm", ".pnm",
)  # fmt: skip
FOLDER_FPS = 25.0
"""Images carry no rate; 25 is what the datasets that come as images (ShanghaiTech, UCSD, Avenue) are played at."""


class FrameFolderReader:
    """Reads images with Pillow, turned as their EXIF data says; all must be of one size."""

    def probe(self, path: str, cache: IndexCache | None) -> VideoInfo:
        """Looks at every image's header, once per process and state of the folder."""
        names = image_names(path)
        width, height = _common_size(path, os.stat(path).st_mtime_ns)
        return VideoInfo(len(names), FOLDER_FPS, width, height, len(names) / FOLDER_FPS, "images", 0, True)

    def frame_times(self, path: str, cache: IndexCache | None) -> np.ndarray:
        return np.arange(len(image_names(path))) / FOLDER_FPS

    def read(self, path: str, frames: np.ndarray, size: tuple[int, int] | None, cache: IndexCache | None) -> np.ndarray:
        names = image_names(path)
        pictures = (self._image(path, names[number], size) for number in frames)
        first = next(pictures)
        out = np.empty((len(frames), *first.shape), np.uint8)  # never both all pictures and a copy of them
        out[0] = first
        for place, picture in enumerate(pictures, start=1):
            out[place] = picture
        return out

    def _image(self, path: str, name: str, size: tuple[int, int] | None) -> np.ndarray:
        return rgb_image(os.path.join(path, name), size, lambda: folder_bits(path))


def image_names(path: str) -> tuple[str, ...]:
    """The image files of a folder in natural order. Raises VideoError when there is none."""
    try:
        names = _listing(path, os.stat(path).st_mtime_ns)
    except OSError as error:
        raise VideoError(f"{path}: cannot list this folder ({error.strerror}); check its permissions") from error
    if not names:
        raise VideoError(f"{path}: no image in this folder; a video of frames holds {', '.join(IMAGE_SUFFIXES)} files")
    return names


@lru_cache(maxsize=64)
def _listing(path: str, mtime_ns: int) -> tuple[str, ...]:
    with os.scandir(path) as entries:
        names = [entry.name for entry in entries if is_image(entry.name) and not entry.is_dir()]
    return tuple(sorted(names, key=natural_key))


def is_image(name: str) -> bool:
    """Whether a file of that name is one of a folder's frames."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sorts runs of digits as numbers: text and numbers alternate, so that like is compared with like."""
    parts = re.split(r"(\d+)", name)
    return [int(part) if place % 2 else part.lower() for place, part in enumerate(parts)], name


@lru_cache(maxsize=1024)
def _common_size(path: str, mtime_ns: int) -> tuple[int, int]:
    names = image_names(path)
    sizes: dict[tuple[int, int], str] = {}
    for name in names:
        sizes.setdefault(image_size(os.path.join(path, name)), name)
        if len(sizes) > 1:
            (first, first_name), (other, other_name) = sizes.items()
            raise VideoError(
                f"{path}: images of different sizes: {first_name} is {first[0]}x{first[1]}, {other_name} is "
                f"{other[0]}x{other[1]} (width x height); bring them to one size"
            )
    return next(iter(sizes))


def folder_bits(path: str) -> int:
    """How many bits the folder's 16-bit grey images use, judged by some of them: 8, 10, 12, 14 or 16."""
    with reading(path):
        return _folder_bits(path, os.stat(path).st_mtime_ns)


@lru_cache(maxsize=64)
def _folder_bits(path: str, mtime_ns: int) -> int:
    names = image_names(path)
    chosen = np.unique(np.linspace(0, len(names) - 1, min(len(names), SAMPLED_IMAGES)).astype(int))
    return used_bits(highest_value(os.path.join(path, names[number])) for number in chosen)
