"""A folder of images as a video: frame `i` is the i-th image in natural order (`2.jpg` before `10.jpg`)."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from pretrain.data.video.info import VideoError, VideoInfo
from pretrain.reading import Unreadable, require_regular

if TYPE_CHECKING:
    from pretrain.data.video.index_cache import IndexCache

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
FOLDER_FPS = 25.0
"""Images carry no rate; 25 is what the datasets that come as images (ShanghaiTech, UCSD, Avenue) are played at."""


class FrameFolderReader:
    """Reads images with Pillow; all must be of one size."""

    def probe(self, path: str, cache: IndexCache | None) -> VideoInfo:
        """Looks at every image's header, once per process and state of the folder."""
        names = image_names(path)
        width, height = _common_size(path, os.stat(path).st_mtime_ns)
        return VideoInfo(len(names), FOLDER_FPS, width, height, len(names) / FOLDER_FPS, "images", 0, True)

    def frame_times(self, path: str, cache: IndexCache | None) -> np.ndarray:
        return np.arange(len(image_names(path))) / FOLDER_FPS

    def read(self, path: str, frames: np.ndarray, size: tuple[int, int] | None, cache: IndexCache | None) -> np.ndarray:
        names = image_names(path)
        return np.stack([_rgb(os.path.join(path, names[number]), size) for number in frames])


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
    names = [name for name in os.listdir(path) if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")]
    return tuple(sorted(names, key=natural_key))


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sorts runs of digits as numbers: text and numbers alternate, so that like is compared with like."""
    parts = re.split(r"(\d+)", name)
    return [int(part) if place % 2 else part.lower() for place, part in enumerate(parts)], name


@lru_cache(maxsize=1024)
def _common_size(path: str, mtime_ns: int) -> tuple[int, int]:
    names = image_names(path)
    sizes: dict[tuple[int, int], str] = {}
    for name in names:
        with _open(os.path.join(path, name)) as image:
            sizes.setdefault(image.size, name)
        if len(sizes) > 1:
            (first, first_name), (other, other_name) = sizes.items()
            raise VideoError(
                f"{path}: images of different sizes: {first_name} is {first[0]}x{first[1]}, {other_name} is "
                f"{other[0]}x{other[1]} (width x height); bring them to one size"
            )
    return next(iter(sizes))


def _open(file: str) -> Image.Image:
    try:
        require_regular(file)
        return Image.open(file)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError, Unreadable) as error:
        raise VideoError(
            f"{file}: not a readable image ({error}); replace it or take the folder off the list"
        ) from error


def _rgb(file: str, size: tuple[int, int] | None) -> np.ndarray:
    with _open(file) as image:
        try:
            if image.mode.startswith("I;16"):  # Pillow would clip 16 bits to 8 instead of scaling
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            picture = image.convert("RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise VideoError(f"{file}: the image does not decode ({error}); replace it") from error
    if size is not None and picture.size != (size[1], size[0]):
        picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(picture)
