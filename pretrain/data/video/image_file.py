"""One image file as a picture: its size from the header alone, turned as EXIF says, deep grey scaled by its true range.

Sixteen bits a pixel rarely hold sixteen: cameras write 10, 12 or 14 bits into them. Taken for 16, such a picture is
nearly black. Nothing in the file says how many are used, so the folder's images are asked (`used_bits`), and one that
holds more than those asked is refused, never cut off.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from pretrain.data.video.info import VideoError, reading
from pretrain.data.video.limits import check_picture

SAMPLED_IMAGES = 32
"""Images of a folder that are asked how many bits they use."""
DEPTHS = (8, 10, 12, 14, 16)
"""Bits that sensors have."""
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What shows a picture of an EXIF orientation upright; 1 is upright."""
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
"""What Pillow raises for files it cannot read."""


@contextmanager
def _opened(file: str) -> Iterator[Image.Image]:
    """The image, its header read, within the limits. VideoError."""
    with reading(file):
        if not stat.S_ISREG(os.stat(file).st_mode):  # a pipe would wait for ever
            raise VideoError(f"{file}: not a regular file; replace it or take the folder off the list")
        stream = open(file, "rb")  # noqa: SIM115 (closed below)
    with stream:
        try:
            image = Image.open(stream)
        except (UnidentifiedImageError, *DAMAGE) as error:
            raise VideoError(
                f"{file}: not a readable image ({_reason(error, file)}); replace it or take the folder off the list"
            ) from error
        check_picture(file, *image.size)
        yield image


def image_size(file: str) -> tuple[int, int]:
    """`(width, height)` as displayed, from the header. VideoError: unreadable, or beyond the limits."""
    with _opened(file) as image:
        width, height = image.size
        if _num_pictures(image) > 1:
            raise VideoError(
                f"{file}: holds {_num_pictures(image)} pictures, and one file is one frame; save each as a file of its "
                "own"
            )
        return (height, width) if _orientation(image) in SIDEWAYS else (width, height)


def _num_pictures(image: Image.Image) -> int:
    """How many pictures of one size it holds. Smaller ones beside it are thumbnails; MPO is a photo and its twin."""
    count = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
    if count > 1 and image.format == "TIFF":
        size = image.size
        image.seek(1)
        count = count if image.size == size else 1
        image.seek(0)
    return count


def rgb_image(file: str, size: tuple[int, int] | None, bits: Callable[[], int]) -> NDArray[np.uint8]:
    """uint8 RGB (height, width, 3), scaled to `size` (height, width) where given. VideoError.

    `bits`: asked where a pixel holds 16, how many of them the images use.
    """
    with _opened(file) as image:
        try:
            picture = _as_rgb(file, image, bits)
            turn = TURNS.get(_orientation(image))
            picture = picture if turn is None else picture.transpose(turn)
        except DAMAGE as error:
            if isinstance(error, VideoError):
                raise
            raise VideoError(f"{file}: the image does not decode ({_reason(error, file)}); replace it") from error
    if size is not None and picture.size != (size[1], size[0]):
        picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def highest_value(file: str) -> int:
    """Of a deep image's pixels; 255 of others."""
    with _opened(file) as image:
        try:
            if is_deep(image):
                return int(np.asarray(image).max())
            return 257 * int(np.asarray(image.convert("RGB")).max()) if _is_cut(image) else 255
        except DAMAGE as error:
            raise VideoError(f"{file}: the image does not decode ({_reason(error, file)}); replace it") from error


def used_bits(highest: Iterable[int]) -> int:
    """The fewest of `DEPTHS` that hold the highest values of some images."""
    needed = max(highest).bit_length()
    return next((depth for depth in DEPTHS if depth >= needed), needed)


def is_deep(image: Image.Image) -> bool:
    """Whether its pixels are grey and of more than 8 bits; Pillow would cut them off at 255."""
    return image.mode.startswith("I")


def _is_cut(image: Image.Image) -> bool:
    """Whether it has 16 bits a colour, of which Pillow gives the upper 8."""
    return any(isinstance(raw, str) and ";16" in raw for raw in _raw_modes(image))


def _raw_modes(image: Image.Image) -> list[object]:
    tiles = [tile[3] for tile in getattr(image, "tile", [])]
    return [tile[0] if isinstance(tile, tuple) and tile else tile for tile in tiles]


def _as_rgb(file: str, image: Image.Image, bits: Callable[[], int]) -> Image.Image:
    if image.mode == "F":
        raise VideoError(f"{file}: pixels are floating-point numbers of unknown range; save the frames as 8-bit images")
    if is_deep(image):
        return Image.fromarray(_to_bytes(file, np.asarray(image), bits())).convert("RGB")
    if _is_cut(image) and bits() < 16:
        raise VideoError(
            f"{file}: its colours are stored in 16 bits, of which these images use {bits()} at most, so they would "
            "come out nearly black; save the frames as 8-bit images"
        )
    return image.convert("RGB")


def _to_bytes(file: str, pixels: NDArray[np.generic], bits: int) -> NDArray[np.uint8]:
    """Grey values of so many bits -> 0 to 255. VideoError for values outside."""
    low, high = int(pixels.min()), int(pixels.max())
    if low < 0 or high >= 1 << bits or bits > 16:
        raise VideoError(
            f"{file}: grey values from {low} to {high}, and the other images use {bits} bits (0 to {(1 << bits) - 1}): "
            "their range is not known; save the frames as 8-bit images"
        )
    return (pixels >> (bits - 8)).astype(np.uint8)  # type: ignore[operator]


def _orientation(image: Image.Image) -> int:
    """EXIF's, from the header; 1, upright, where there is none. TIFF is turned by Pillow itself.

    Not by `getexif`, which decodes all of a PNG that has none.
    """
    data = None if image.format == "TIFF" else image.info.get("exif")
    if not data:
        return 1
    exif = Image.Exif()
    try:
        exif.load(data)
        value = exif.get(ExifTags.Base.Orientation, 1)
    except (*DAMAGE, struct.error):
        return 1
    return value if value in TURNS else 1


def _reason(error: BaseException, file: str) -> str:
    """Pillow's words without the address of the open file in memory."""
    return "not one of the kinds that Pillow knows" if isinstance(error, UnidentifiedImageError) else str(error)
