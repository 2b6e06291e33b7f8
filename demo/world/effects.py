"""Small things that obey time's arrow: exhaust that spreads and fades, dust, splashes, leaves, debris, smoke, birds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from demo.world.drawing import Colour
from demo.world.sprites import TO_YUV, YUV_OFFSET, Light, Sprite, make_sprite

COLOURS: dict[str, Colour] = {
    "exhaust": (224, 226, 232), "smoke": (44, 42, 42), "dust": (238, 226, 200), "steam": (226, 230, 234),
    "fire": (255, 168, 42),
    "flash": (255, 248, 216), "water": (206, 222, 236), "debris": (50, 46, 44), "leaf": (168, 116, 38), "glass": (206,
    226, 232),
    "lamp": (255, 240, 186), "bird": (58, 58, 64), "ripple": (240, 246, 252), "spray": (226, 234, 242),
}  # fmt: skip
SHINING = {"fire", "flash", "lamp"}
"""These are not dimmed by the scene's light."""


@dataclass(slots=True)
class Particle:
    """One puff, drop, leaf or shard. Pixels, frames; `z` is the height above the ground line `y`."""

    kind: str
    x: float
    y: float
    z: float
    vx: float
    vz: float
    life: int
    radius: float
    growth: float
    alpha: float
    gravity: float = 0.0
    drag: float = 1.0
    age: int = 0
    variant: int = 0

    def step(self) -> bool:
        """Move on by one frame; False when it is over."""
        self.age += 1
        self.x += self.vx
        self.z += self.vz
        self.vz -= self.gravity
        self.vx *= self.drag
        self.vz *= self.drag
        self.radius += self.growth
        if self.z < 0:
            self.z, self.vz, self.vx = 0.0, -0.3 * self.vz, 0.5 * self.vx
        if self.kind == "leaf" and self.z > 0:
            self.vx += 0.09 * math.sin(self.age * 0.23 + self.variant)
        return self.age < self.life

    @property
    def opacity(self) -> float:
        """At once there, slowly gone; solid things stay until the last third."""
        rest = 1 - self.age / self.life
        solid = self.kind in ("leaf", "debris", "glass")
        return self.alpha * min(1.0, 3 * rest) if solid else self.alpha * rest * min(1.0, (self.age + 1) / 2)


def exhaust(rng: np.random.Generator, x: float, y: float, backwards: int, scale: float) -> Particle:
    """A puff from the tailpipe, left behind: there at once, then it spreads and fades."""
    return Particle(
        "exhaust", x, y, 0.3 * scale, backwards * float(rng.uniform(0.2, 0.6)), float(rng.uniform(0.05, 0.2)),
        int(rng.integers(26, 44)), 0.15 * scale, 0.011 * scale, 0.72, drag=0.96, variant=int(rng.integers(4)),
    )  # fmt: skip


def dust(rng: np.random.Generator, x: float, y: float, backwards: int, scale: float, thick: float = 1.0) -> Particle:
    """Kicked up by a foot or a wheel."""
    return Particle(
        "dust", x, y, 0.05 * scale, backwards * float(rng.uniform(0.1, 0.4)), float(rng.uniform(0.1, 0.25)),
        int(rng.integers(20, 32)), 0.15 * scale, 0.01 * scale, 0.8 * thick, drag=0.94, variant=int(rng.integers(4)),
    )  # fmt: skip


def ripple(rng: np.random.Generator, x: float, y: float, scale: float) -> Particle:
    """The ring that a step leaves on wet ground."""
    life = int(rng.integers(18, 28))
    return Particle("ripple", x, y, 0.0, 0.0, 0.0, life, 0.18 * scale, 0.014 * scale, 0.9)


def spray(rng: np.random.Generator, x: float, y: float, backwards: int, scale: float) -> Particle:
    """Mist behind a tyre on a wet road."""
    return Particle(
        "spray", x, y, 0.1 * scale, backwards * float(rng.uniform(0.3, 0.8)), float(rng.uniform(0.1, 0.3)),
        int(rng.integers(16, 28)), 0.12 * scale, 0.011 * scale, 0.6, drag=0.95, variant=int(rng.integers(4)),
    )  # fmt: skip


def splash(rng: np.random.Generator, x: float, y: float, forwards: int, scale: float) -> Iterator[Particle]:
    """Drops thrown up and sideways out of a puddle."""
    for _ in range(9):
        speed = scale * float(rng.uniform(0.02, 0.06))
        yield Particle(
            "water", x, y + float(rng.uniform(-2, 2)), 0.5, forwards * speed * float(rng.uniform(-0.6, 1.0)),
            speed * 1.5,
            int(rng.integers(12, 22)), float(rng.uniform(1.0, 1.9)), 0.0, 0.9, gravity=scale * 0.0055,
        )  # fmt: skip


def leaf(rng: np.random.Generator, x: float, y: float, height: float) -> Particle:
    return Particle(
        "leaf", x, y, height, float(rng.uniform(-0.5, 0.5)), -float(rng.uniform(0.6, 1.1)), int(rng.integers(150,
        260)), 2.0, 0.0, 0.95,
        variant=int(rng.integers(6)),
    )  # fmt: skip


def steam(rng: np.random.Generator, x: float, y: float) -> Particle:
    """Out of a grate in the ground."""
    return Particle(
        "steam", x + float(rng.uniform(-4, 4)), y, 1.0, float(rng.uniform(-0.1, 0.3)), float(rng.uniform(0.5, 0.9)),
        int(rng.integers(50, 80)),
        3.0, 0.16, 0.5, drag=0.99, variant=int(rng.integers(4)),
    )  # fmt: skip


def smoke(rng: np.random.Generator, x: float, y: float, scale: float, fierce: float) -> Particle:
    """A dark puff that rises and spreads."""
    return Particle(
        "smoke", x + float(rng.normal(0, 0.12)) * scale, y, 0.3 * scale, float(rng.normal(0, 0.012)) * scale * fierce,
        scale * float(rng.uniform(0.016, 0.034)), int(rng.integers(60, 105)), 0.16 * scale, 0.0085 * scale * fierce,
        0.8, drag=0.985,
        variant=int(rng.integers(4)),
    )  # fmt: skip


def fireball(rng: np.random.Generator, x: float, y: float, scale: float) -> Particle:
    angle, speed = float(rng.uniform(0, math.pi)), float(rng.uniform(0.01, 0.06)) * scale
    return Particle(
        "fire", x, y, 0.3 * scale, speed * math.cos(angle), speed * math.sin(angle), int(rng.integers(14, 34)),
        0.3 * scale, 0.02 * scale,
        0.95, drag=0.9, variant=int(rng.integers(4)),
    )  # fmt: skip


def shards(
    rng: np.random.Generator, x: float, y: float, scale: float, number: int, kind: str, fierce: float
) -> Iterator[Particle]:
    """Debris or glass thrown out; it lands, slides and stays a while."""
    for _ in range(number):
        speed = scale * float(rng.uniform(0.03, 0.11)) * fierce
        angle = float(rng.uniform(0.1, 0.9)) * math.pi
        yield Particle(
            kind, x, y + float(rng.uniform(-4, 6)), 0.4 * scale, speed * math.cos(angle), speed * math.sin(angle),
            int(rng.integers(110, 240)),
            float(rng.uniform(1.2, 2.6)), 0.0, 1.0, gravity=scale * 0.0105, drag=0.985,
        )  # fmt: skip


def birds(rng: np.random.Generator, x: float, y: float) -> Iterator[Particle]:
    """A few pigeons that take off and fly up and away."""
    way = int(rng.choice([-1, 1]))
    for _ in range(int(rng.integers(3, 6))):
        start_x, start_y = x + float(rng.normal(0, 14)), y + float(rng.normal(0, 5))
        climb = float(rng.uniform(0.9, 1.5))
        yield Particle(
            "bird", start_x, start_y, 0.0, way * float(rng.uniform(0.4, 0.9)), 0.2, 90, 4.5, 0.0, 1.0,
            gravity=-0.025 * climb, drag=1.012,
            variant=int(rng.integers(4)) + (8 if way < 0 else 0),
        )  # fmt: skip


@lru_cache(maxsize=64)
def _mask(kind: str, size: int, variant: int) -> np.ndarray:
    """Opacity (size, size) of a particle's picture."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    distance = np.hypot(axis[None, :], axis[:, None])
    if kind in ("debris", "glass", "water"):
        return np.clip((1 - distance) * 2.2, 0, 1)
    if kind == "leaf":
        return np.clip(1.2 - np.hypot(axis[None, :], axis[:, None] * (1.2 + 0.5 * (variant % 3))), 0, 0.5) * 2
    if kind == "ripple":
        distance = np.hypot(axis[None, :], axis[:, None] * 2.0)
        return np.maximum(np.exp(-(((distance - 0.75) / 0.2) ** 2)), 0.45 * (distance < 0.75))
    if kind in ("lamp", "flash"):
        return np.clip(1 - distance, 0, 1) ** 1.5
    rng = np.random.default_rng([variant, 99])
    lumps = Image.fromarray(rng.uniform(0.55, 1.15, (5, 5)).astype(np.float32)).resize(
        (size, size), Image.Resampling.BICUBIC
    )
    return np.clip(np.clip(1 - distance, 0, 1) * 1.7, 0, 1) * np.clip(np.asarray(lumps), 0, 1)


def _bird_mask(flap: int, way: int) -> np.ndarray:
    picture = Image.new("L", (48, 48), 0)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((10, 20, 36, 30), fill=255)
    draw.ellipse((31, 16, 41, 26), fill=255)
    tip = (8, 4, 26, 44)[flap]
    draw.polygon([(17, 24), (29, 24), (16, tip)], fill=230)
    if way < 0:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(picture.resize((12, 12), Image.Resampling.BOX), dtype=np.float32) / 255


def effect_key(particle: Particle) -> tuple[object, ...]:
    """What a particle's picture depends on: radius and opacity in coarse steps."""
    radius = max(1, round(particle.radius if particle.radius < 8 else round(particle.radius / 2) * 2))
    if particle.kind == "bird":
        return "bird", (particle.age // 2) % 4 if particle.age > 2 else 2, 8, particle.variant // 8
    return particle.kind, radius, max(1, round(particle.opacity * 12)), particle.variant % 4


def draw_effect(key: tuple[object, ...], light: Light) -> Sprite:
    kind, radius, opacity, variant = str(key[0]), int(str(key[1])), int(str(key[2])), int(str(key[3]))
    mask = (
        _bird_mask(radius, -1 if variant else 1)
        if kind == "bird"
        else _mask(kind, 2 * radius, variant) * (opacity / 12)
    )
    matrix = TO_YUV if kind in SHINING else light.matrix
    colour = np.array(COLOURS[kind], dtype=np.float32)
    yuv = ((matrix @ colour + YUV_OFFSET)[:, None, None] * mask[None]).astype(np.float32)
    half = mask.shape[0] // 2
    return make_sprite(yuv, mask, (half, half), (-half, -half, half, half))
