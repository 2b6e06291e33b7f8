"""Brushes for empty scenes: ground bands in perspective, facades, trees, paving, texture."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from demo.world.cameras import HEIGHT, WIDTH, Camera
from demo.world.drawing import Colour, shade

SUPERSAMPLING = 2
"""Painted at twice the size and reduced."""


def cloud_texture(rng: np.random.Generator, height: int, width: int, coarsest: int) -> np.ndarray:
    """Fractal noise (height, width) with mean about 0 and deviation about 1."""
    total = np.zeros((height, width), dtype=np.float32)
    cell, weight = coarsest, 1.0
    while cell >= 1:
        grid = rng.standard_normal((height // cell + 2, width // cell + 2)).astype(np.float32)
        layer = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += weight * np.asarray(layer)
        cell, weight = cell // 2, weight * 0.62
    deviation = float(total.std())
    return (total - total.mean()) / deviation


class Painter:
    """Draws in picture pixels at SUPERSAMPLING times the size; ground lines follow the camera's slope."""

    def __init__(self, camera: Camera, rng: np.random.Generator) -> None:
        self.camera, self.rng = camera, rng
        self.image = Image.new("RGB", (WIDTH * SUPERSAMPLING, HEIGHT * SUPERSAMPLING), (128, 128, 128))
        self.draw = ImageDraw.Draw(self.image, "RGBA")
        self.roughness = np.full((HEIGHT, WIDTH), 5.0, dtype=np.float32)

    def band(self, top: float, bottom: float, colour: Colour, rough: float) -> None:
        """Ground between two ground lines."""
        camera = self.camera
        points: list[tuple[float, float]] = [(0, camera.ground(top, 0)), (WIDTH, camera.ground(top, WIDTH))]
        points += [(WIDTH, camera.ground(bottom, WIDTH)), (0, camera.ground(bottom, 0))]
        self.polygon(points, colour)
        self.roughness[max(0, round(top)) : max(0, round(bottom))] = rough

    def polygon(self, points: list[tuple[float, float]], colour: Colour, alpha: int = 255) -> None:
        self.draw.polygon([(x * SUPERSAMPLING, y * SUPERSAMPLING) for x, y in points], fill=(*colour, alpha))

    def box(self, x1: float, y1: float, x2: float, y2: float, colour: Colour, alpha: int = 255) -> None:
        self.draw.rectangle(
            (x1 * SUPERSAMPLING, y1 * SUPERSAMPLING, x2 * SUPERSAMPLING, y2 * SUPERSAMPLING), fill=(*colour, alpha)
        )

    def stroke(
        self, x1: float, y1: float, x2: float, y2: float, colour: Colour, width: float, alpha: int = 255
    ) -> None:
        self.draw.line(
            (x1 * SUPERSAMPLING, y1 * SUPERSAMPLING, x2 * SUPERSAMPLING, y2 * SUPERSAMPLING),
            fill=(*colour, alpha),
            width=max(1, round(width * SUPERSAMPLING)),
        )

    def ground_line(self, y: float, colour: Colour, width: float, alpha: int = 255) -> None:
        self.stroke(0, self.camera.ground(y, 0), WIDTH, self.camera.ground(y, WIDTH), colour, width, alpha)

    def paving(self, top: float, bottom: float, colour: Colour, size: float, alpha: int = 90) -> None:
        """Joints of slabs of `size` metres: rows nearer to each other far away, columns towards a vanishing point."""
        camera, y, depth = self.camera, bottom, 0
        while y > top:
            self.ground_line(y, colour, 0.7, alpha)
            y -= max(3.0, size * camera.scale(y) * 0.42)
            depth += 1
        centre = WIDTH / 2 + float(self.rng.uniform(-60, 60))
        step = size * camera.scale(bottom)
        for column in range(-round(WIDTH / step) - 2, round(WIDTH / step) + 3):
            x = column * step
            far = camera.scale(top) / camera.scale(bottom)
            x1, x2 = centre + x * far, centre + x
            self.stroke(x1, camera.ground(top, x1), x2, camera.ground(bottom, x2), colour, 0.7, alpha)

    def facade(self, bottom: float, wall: Colour, storeys: int) -> None:
        """Houses side by side, with windows, doors and a shop or two."""
        self.box(0, 0, WIDTH, bottom + 10, shade(wall, 0.9))
        x = -float(self.rng.uniform(0, 30))
        while x < WIDTH:
            width = float(self.rng.uniform(55, 110))
            tone = shade(wall, float(self.rng.uniform(0.72, 1.12)))
            self.box(x, 0, x + width - 1, bottom + 10, tone)
            self.box(x + width - 2, 0, x + width, bottom + 10, shade(tone, 0.6))
            self._windows(x, width, bottom, tone, storeys)
            x += width
        self.roughness[: round(bottom)] = 3.5

    def _windows(self, x: float, width: float, bottom: float, tone: Colour, storeys: int) -> None:
        count = max(2, round(width / 24))
        lit = self.camera.light.lamps
        for storey in range(storeys):
            y2 = bottom - 34 - storey * 34
            for column in range(count):
                x1 = x + 6 + column * (width - 10) / count
                glass: Colour = (238, 214, 140) if self.rng.random() < 0.35 * lit else (58, 68, 82)
                self.box(x1 - 1, y2 - 21, x1 + 13, y2 + 1, shade(tone, 1.22))
                self.box(x1, y2 - 20, x1 + 12, y2, glass)
                self.stroke(x1 + 6, y2 - 20, x1 + 6, y2, shade(tone, 1.1), 1)
        if self.rng.random() < 0.6:
            awning = (int(self.rng.integers(90, 210)), int(self.rng.integers(40, 150)), int(self.rng.integers(40, 140)))
            self.box(x + 5, bottom - 26, x + width - 6, bottom - 2, (48, 56, 66))
            self.box(x + 3, bottom - 31, x + width - 4, bottom - 25, awning)
            self.box(x + 8, bottom - 22, x + width / 2, bottom - 6, (104, 112, 110), 160)
        door = x + width * float(self.rng.uniform(0.6, 0.75))
        self.box(door, bottom - 24, door + 11, bottom, shade(tone, 0.5))

    def tree(self, x: float, y: float, size: float) -> None:
        self.box(x - size * 0.05, y - size * 0.5, x + size * 0.05, y, (70, 54, 42))
        for _ in range(60):
            dx, dy = self.rng.normal(0, size * 0.16, 2)
            r = size * float(self.rng.uniform(0.05, 0.12))
            green = shade((70, 104, 52), float(self.rng.uniform(0.6, 1.35)))
            cx, cy = (x + dx) * SUPERSAMPLING, (y - size * 0.68 + dy * 0.9) * SUPERSAMPLING
            self.draw.ellipse(
                (cx - r * SUPERSAMPLING, cy - r * SUPERSAMPLING, cx + r * SUPERSAMPLING, cy + r * SUPERSAMPLING),
                fill=(*green, 255),
            )

    def puddle(self, x: float, y: float, size: float) -> None:
        for grow, alpha in ((1.0, 70), (0.8, 80), (0.5, 60)):
            a, b = size * grow, size * 0.26 * grow
            self.draw.ellipse(
                ((x - a) * SUPERSAMPLING, (y - b) * SUPERSAMPLING, (x + a) * SUPERSAMPLING, (y + b) * SUPERSAMPLING),
                fill=(150, 168, 186, alpha),
            )
