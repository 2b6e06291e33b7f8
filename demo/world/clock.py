"""The clock that surveillance recorders burn into the picture, in a pixel font of our own (no font file needed)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from demo.world.cameras import CLOCK_ROWS, WIDTH, Camera
from demo.world.sprites import Sprite, SpriteShelf, make_sprite

GLYPHS = {
    "0": "0E11131519110E", "1": "040C040404040E", "2": "0E11010204081F", "3": "1F02040201110E", "4": "02060A121F0202",
    "5": "1F101E0101110E",
    "6": "0608101E11110E", "7": "1F010204080808", "8": "0E11110E11110E", "9": "0E11110F01020C", ":": "00040400040400",
    "-": "0000001F000000",
    "/": "00010204081000", " ": "00000000000000", "C": "0E11101010110E", "A": "0E11111F111111", "M": "111B1515111111",
    "H": "1111111F111111",
}  # fmt: skip
"""Seven rows of five dots, one hexadecimal byte a row."""
TINTS = ((235, 128, 128), (210, 40, 146), (196, 116, 120))
"""White, yellow, pale green, as YUV."""


@lru_cache(maxsize=8)
def _dots(text: str, scale: int) -> np.ndarray:
    """(rows, columns) of 0 and 1."""
    columns = [
        np.array([[int(byte) >> (4 - x) & 1 for x in range(5)] + [0] for byte in bytes.fromhex(GLYPHS[c])])
        for c in text
    ]
    dots: np.ndarray = np.hstack(columns).repeat(scale, axis=0).repeat(scale, axis=1).astype(np.float32)
    return dots


def clock_text(camera: Camera, seconds: int) -> str:
    """Date and time of day, for example `2019-03-14 17:20:05`."""
    day = 1 + (camera.texture_seed + seconds // 86400) % 28
    month, year = 1 + camera.texture_seed % 12, 2012 + camera.texture_seed % 11
    date = {
        "y-m-d": f"{year}-{month:02d}-{day:02d}",
        "d/m/y": f"{day:02d}/{month:02d}/{year}",
        "m-d-y": f"{month:02d}-{day:02d}-{year}",
    }
    time = f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{date[camera.clock.order]} {time}"


def clock_strip(camera: Camera, seconds: int, shelf: SpriteShelf) -> Sprite:
    """The top CLOCK_ROWS rows with clock and camera number, anchored at the corner of the picture."""
    return shelf.kept(("clock", seconds), lambda: _draw(camera, clock_text(camera, seconds)))


def _draw(camera: Camera, text: str) -> Sprite:
    clock = camera.clock
    ink, box = np.zeros((CLOCK_ROWS, WIDTH), np.float32), np.zeros((CLOCK_ROWS, WIDTH), np.float32)
    label = f"CAM {camera.index:02d}" if clock.scale == 1 else "CH" + f"{camera.index:02d}"
    for part, at_right in ((text, not clock.label_right), (label, clock.label_right)):
        dots = _dots(part, clock.scale)
        x = WIDTH - 6 - dots.shape[1] if at_right else 6
        ink[5 : 5 + dots.shape[0], x : x + dots.shape[1]] = dots
        if clock.boxed:
            box[3 : 7 + dots.shape[0], x - 2 : x + dots.shape[1] + 2] = 0.75
    edge = np.maximum.reduce([np.roll(ink, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    behind = np.maximum(box, 0.8 * edge)
    alpha = np.maximum(ink, behind)
    y, u, v = TINTS[clock.tint]
    paper = (alpha - ink) * 1.0
    yuv = np.stack([y * ink + 20 * paper, u * ink + 128 * paper, v * ink + 128 * paper])
    return make_sprite(yuv.astype(np.float32), alpha, (0, 0), (0, 0, 0, 0))
