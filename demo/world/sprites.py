"""Pictures made ready to be blended into YUV 4:2:0 frames, and the shelf that keeps them.

A frame is three planes; blending is `frame = frame * (256 - alpha) + premultiplied >> 8` in 16-bit integers on the few
pixels a sprite covers. That, and drawing each picture once, is what keeps a frame under two milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from demo.world import poses, vehicles
from demo.world.drawing import Point
from demo.world.people import Look, draw_person
from demo.world.poses import ACTIONS, CYCLIC
from demo.world.vehicles import VehicleLook, draw_vehicle

TO_YUV = np.array([[0.257, 0.504, 0.098], [-0.148, -0.291, 0.439], [0.439, -0.368, -0.071]], dtype=np.float32)
YUV_OFFSET = np.array([16, 128, 128], dtype=np.float32)
YUV_SHADOW = np.array([20, 128, 128], dtype=np.float32)[:, None, None]
SCALE_STEP = 1.04
"""Sprites exist at sizes that are powers of this: actors grow in steps too small to see."""


@dataclass(frozen=True)
class Light:
    """How a scene lights what stands in it."""

    tint: tuple[float, float, float]
    saturation: float
    shadow_slant: float
    """Horizontal shift of a shadow per unit of height."""
    shadow_length: float
    """Vertical extent of a shadow on the screen per unit of height; negative falls away from the camera."""
    shadow_strength: float
    lamps: float
    """How much headlamps show, 0 by day to 1 by night."""

    @cached_property
    def matrix(self) -> np.ndarray:
        """RGB to toned YUV (3, 3)."""
        grey = np.full((3, 3), 1 / 3, dtype=np.float32)
        mix: np.ndarray = self.saturation * np.eye(3, dtype=np.float32) + (1 - self.saturation) * grey
        return (TO_YUV @ np.diag(np.array(self.tint, dtype=np.float32)) @ mix).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Sprite:
    """Premultiplied planes, remaining background (256 - alpha), the anchor, and the body's box around the anchor."""

    luma: np.ndarray
    luma_left: np.ndarray
    chroma: np.ndarray
    chroma_left: np.ndarray
    anchor: tuple[int, int]
    box: tuple[int, int, int, int]


def make_sprite(yuv: np.ndarray, alpha: np.ndarray, anchor: Point, box: tuple[int, int, int, int]) -> Sprite:
    """From premultiplied float planes `yuv` (3, h, w) in 0 to 255 and `alpha` (h, w) in 0 to 1; h and w are even."""
    left, chroma_left = np.rint(256 - 256 * alpha), np.rint(256 - 256 * _halved(alpha))
    # never above what 16 bits hold when it is blended with the brightest background
    luma16 = np.minimum(np.rint(yuv[0] * 256), 65280 - 255 * left).astype(np.uint16)
    chroma16 = np.minimum(np.rint(_halved(yuv[1:]) * 256), 65280 - 255 * chroma_left).astype(np.uint16)
    left, chroma_left = left.astype(np.uint16), chroma_left.astype(np.uint16)
    return Sprite(luma16, left, chroma16, chroma_left, (round(anchor[0]), round(anchor[1])), box)


def _halved(plane: np.ndarray) -> np.ndarray:
    """Mean of each 2x2 block of the last two axes."""
    rows = plane[..., 0::2, :] + plane[..., 1::2, :]
    mean: np.ndarray = (rows[..., 0::2] + rows[..., 1::2]) * 0.25
    return mean


def planes(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """(rgb (h, w, 3) premultiplied in 0 to 255, alpha (h, w) in 0 to 1) of a drawing."""
    array = np.asarray(image, dtype=np.float32)
    return array[..., :3], array[..., 3] / 255


def _to_yuv(rgb: np.ndarray, alpha: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    yuv: np.ndarray = (rgb.reshape(-1, 3) @ matrix.T).T.reshape(3, *alpha.shape)
    return yuv + YUV_OFFSET[:, None, None] * alpha


def finish(body: Image.Image, glow: Image.Image | None, anchor: Point, scale: float, light: Light) -> Sprite:
    """Scale a canonical drawing, cast its shadow, tone it, add what shines by itself."""
    size = (max(2, round(body.width * scale)), max(2, round(body.height * scale)))
    small = body.resize(size, Image.Resampling.BILINEAR)
    foot = (anchor[0] * scale, anchor[1] * scale)
    margin_x = math.ceil(abs(light.shadow_slant) * foot[1]) + 2
    margin_y = math.ceil(max(light.shadow_length, 0) * foot[1]) + 2
    width, height = (size[0] + 2 * margin_x + 1) // 2 * 2, (size[1] + margin_y + 1) // 2 * 2
    silhouette = small.getchannel("K")
    anchor = (foot[0] + margin_x, foot[1])
    shadow = np.asarray(_shadow(silhouette, (width, height), margin_x, anchor, light), np.float32) * (
        light.shadow_strength / 255
    )
    rgb, alpha = planes(_placed(small, (width, height), margin_x))
    yuv = _to_yuv(rgb, alpha, light.matrix)
    under = shadow * (1 - alpha)
    yuv += YUV_SHADOW * under
    total = alpha + under
    if glow is not None:
        glow_rgb, glow_alpha = planes(_placed(glow.resize(size, Image.Resampling.BILINEAR), (width, height), margin_x))
        yuv = _to_yuv(glow_rgb, glow_alpha, TO_YUV) + yuv * (1 - glow_alpha)
        total = glow_alpha + total * (1 - glow_alpha)
    return _cropped(yuv, total, anchor, _box(alpha, anchor))


def _placed(picture: Image.Image, size: tuple[int, int], left: int) -> Image.Image:
    return picture.crop((-left, 0, size[0] - left, size[1]))


def _shadow(alpha: Image.Image, size: tuple[int, int], margin: int, anchor: Point, light: Light) -> Image.Image:
    """The silhouette laid on the ground: a point at height h falls at (x + slant h, ground + length h)."""
    shear, squash = light.shadow_slant / light.shadow_length, 1 / light.shadow_length
    # inverse map, output to input: h = (Y - ground) / length; x = X - slant h - margin; y = ground - h
    ground = anchor[1]
    coefficients = (1, -shear, shear * ground - margin, 0, -squash, ground + squash * ground)
    return alpha.transform(size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)


def _box(alpha: np.ndarray, anchor: Point) -> tuple[int, int, int, int]:
    """Where the body is, relative to the anchor."""
    solid = alpha > 0.37
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    if rows.size == 0:
        return 0, 0, 1, 1
    ax, ay = round(anchor[0]), round(anchor[1])
    return int(columns[0]) - ax, int(rows[0]) - ay, int(columns[-1]) + 1 - ax, int(rows[-1]) + 1 - ay


def _cropped(yuv: np.ndarray, alpha: np.ndarray, anchor: Point, box: tuple[int, int, int, int]) -> Sprite:
    rows, columns = np.flatnonzero((alpha > 0.01).any(axis=1)), np.flatnonzero((alpha > 0.01).any(axis=0))
    if rows.size == 0:
        return make_sprite(yuv[:, :2, :2], alpha[:2, :2], (0, 0), box)
    top, left = int(rows[0]) // 2 * 2, int(columns[0]) // 2 * 2
    bottom, right = (int(rows[-1]) + 2) // 2 * 2, (int(columns[-1]) + 2) // 2 * 2
    window = (slice(top, min(bottom, alpha.shape[0])), slice(left, min(right, alpha.shape[1])))
    return make_sprite(yuv[:, window[0], window[1]], alpha[window], (anchor[0] - left, anchor[1] - top), box)


class SpriteShelf:
    """Every picture of one camera's cast, drawn when first asked for and kept."""

    def __init__(self, people: list[Look], fleet: list[VehicleLook], light: Light, slope: float) -> None:
        self.people, self.fleet, self.light, self.slope = people, fleet, light, slope
        self._sprites: dict[tuple[object, ...], Sprite] = {}
        self._drawings: dict[tuple[object, ...], tuple[Image.Image, Point]] = {}
        self._pairs: dict[tuple[object, ...], tuple[Image.Image, Image.Image, Point]] = {}

    def kept(self, key: tuple[object, ...], make: Callable[[], Sprite]) -> Sprite:
        sprite = self._sprites.get(key)
        if sprite is None:
            sprite = self._sprites[key] = make()
        return sprite

    def person(self, who: int, action: str, progress: float, view: str, facing: int, pixels_per_metre: float) -> Sprite:
        """`progress` of the action: any number for cyclic ones, else 0 to 1."""
        steps = ACTIONS[action][0]
        step = int(progress * steps) % steps if action in CYCLIC else round(min(max(progress, 0), 1) * (steps - 1))
        level = round(math.log(pixels_per_metre / poses.PIXELS_PER_METRE) / math.log(SCALE_STEP))
        key = (who, action, step, view, facing, level)
        return self.kept(key, lambda: self._make_person(who, action, step, view, facing, level))

    def _make_person(self, who: int, action: str, step: int, view: str, facing: int, level: int) -> Sprite:
        key = (who, action, step, view)
        if key not in self._drawings:
            self._drawings[key] = draw_person(self.people[who], action, step, view)
        image, anchor = self._drawings[key]
        if facing < 0:
            image, anchor = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (image.width - anchor[0], anchor[1])
        return finish(image, None, anchor, SCALE_STEP**level * self.people[who].height, self.light)

    def vehicle(
        self, which: int, progress: float, braking: bool, facing: int, pixels_per_metre: float, tilt: int = 0
    ) -> Sprite:
        """`progress` in turns of the wheels' pattern (or of the pedals); `tilt` in degrees, nose down."""
        look = self.fleet[which]
        steps = vehicles.PEDAL_STEPS if look.rider else vehicles.WHEEL_STEPS
        level = round(math.log(pixels_per_metre / vehicles.PIXELS_PER_METRE) / math.log(SCALE_STEP))
        key = ("vehicle", which, int(progress * steps) % steps, braking, facing, level, tilt)
        return self.kept(
            key, lambda: self._make_vehicle(which, int(progress * steps) % steps, braking, facing, level, tilt)
        )

    def _make_vehicle(self, which: int, step: int, braking: bool, facing: int, level: int, tilt: int) -> Sprite:
        drawing = ("vehicle drawing", which, step, braking, facing, tilt)
        if drawing not in self._pairs:
            self._pairs[drawing] = self._draw_vehicle(which, step, braking, facing, tilt)
        body, glow, anchor = self._pairs[drawing]
        return finish(body, glow if self.fleet[which].rider is None else None, anchor, SCALE_STEP**level, self.light)

    def _draw_vehicle(
        self, which: int, step: int, braking: bool, facing: int, tilt: int
    ) -> tuple[Image.Image, Image.Image, Point]:
        body, glow, anchor = draw_vehicle(self.fleet[which], step, braking, self.light.lamps)
        if tilt:
            body, glow = (layer.rotate(-tilt, Image.Resampling.BILINEAR, center=anchor) for layer in (body, glow))
        if facing < 0:
            body, glow = (layer.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for layer in (body, glow))
            anchor = (body.width - anchor[0], anchor[1])
        if self.slope:  # the road climbs across the picture, and what drives on it climbs too
            extra = math.ceil(abs(self.slope) * body.width / 2)
            size = (body.width, body.height + 2 * extra)
            shear = (1, 0, 0, -self.slope, 1, self.slope * anchor[0] - extra)
            body, glow = (
                layer.transform(size, Image.Transform.AFFINE, shear, Image.Resampling.BILINEAR)
                for layer in (body, glow)
            )
            anchor = (anchor[0], anchor[1] + extra)
        return body, glow, anchor
