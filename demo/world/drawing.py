"""A canvas in metres on which people and vehicles are drawn, and its colours."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

OVERSAMPLING = 3


def shade(colour: Colour, factor: float) -> Colour:
    """Darker (below 1) or lighter."""
    red, green, blue = (max(0, min(255, round(channel * factor))) for channel in colour)
    return red, green, blue


def ink(colour: Colour, alpha: int = 255) -> tuple[int, int, int, int]:
    """A premultiplied colour."""
    red, green, blue = (channel * alpha // 255 for channel in colour)
    return red, green, blue, alpha


class Sketch:
    """A transparent canvas in metres: x to the right of the anchor, y up from the ground.

    The picture is kept premultiplied, in Pillow's mode CMYK: four plain bands (red, green, blue, alpha) that scaling
    and turning treat alike, where RGBA would be converted to and fro each time (measured: half of all drawing time).
    """

    def __init__(self, left: float, right: float, top: float, bottom: float, pixels_per_metre: int) -> None:
        self.unit = pixels_per_metre * OVERSAMPLING
        self.left, self.top = left, top
        width, height = (math.ceil(extent * pixels_per_metre) * OVERSAMPLING for extent in (left + right, top + bottom))
        self.image = Image.new("CMYK", (width, height), (0, 0, 0, 0))
        self.draw = ImageDraw.Draw(self.image)

    def at(self, point: Point) -> Point:
        """A point in metres as pixels of the canvas."""
        return (self.left + point[0]) * self.unit, (self.top - point[1]) * self.unit

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """A filled circle."""
        x, y = self.at(centre)
        r = radius * self.unit
        self.draw.ellipse((x - r, y - r, x + r, y + r), fill=(*colour, 255))

    def limb(self, start: Point, end: Point, start_width: float, end_width: float, colour: Colour) -> None:
        """A tapering limb with round ends."""
        (x1, y1), (x2, y2) = self.at(start), self.at(end)
        length = math.hypot(x2 - x1, y2 - y1) or 1.0
        nx, ny = (y1 - y2) / length, (x2 - x1) / length
        a, b = start_width * self.unit / 2, end_width * self.unit / 2
        near = [(x1 + nx * a, y1 + ny * a), (x2 + nx * b, y2 + ny * b)]
        far = [(x2 - nx * b, y2 - ny * b), (x1 - nx * a, y1 - ny * a)]
        self.draw.polygon([*near, *far], fill=(*colour, 255))
        self.draw.ellipse((x1 - a, y1 - a, x1 + a, y1 + a), fill=(*colour, 255))
        self.draw.ellipse((x2 - b, y2 - b, x2 + b, y2 + b), fill=(*colour, 255))

    def shape(self, points: list[Point], colour: Colour, alpha: int = 255) -> None:
        """A filled polygon; it replaces what is below, also where it is transparent."""
        self.draw.polygon([self.at(point) for point in points], fill=ink(colour, alpha))

    def finished(self) -> tuple[Image.Image, Point]:
        """The picture at canonical size and its anchor (pixels from the left and top)."""
        scale = self.unit / OVERSAMPLING
        return self.image.reduce(OVERSAMPLING), (self.left * scale, self.top * scale)

    def trimmed(self) -> tuple[Image.Image, Point]:
        """The same without empty borders."""
        left, top, right, bottom = self.image.getbbox() or (0, 0, OVERSAMPLING, OVERSAMPLING)
        left, top = left // OVERSAMPLING * OVERSAMPLING, top // OVERSAMPLING * OVERSAMPLING
        right, bottom = -(-right // OVERSAMPLING) * OVERSAMPLING, -(-bottom // OVERSAMPLING) * OVERSAMPLING
        picture = self.image.crop((left, top, right, bottom)).reduce(OVERSAMPLING)
        anchor = ((self.left * self.unit - left) / OVERSAMPLING, (self.top * self.unit - top) / OVERSAMPLING)
        return picture, anchor
