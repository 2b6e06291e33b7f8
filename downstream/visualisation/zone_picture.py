"""Zones drawn on a frame, to see whether they lie where they were meant: what does not count is darker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from downstream.features.zones import Zone, Zones
from downstream.visualisation.pictures import font, line_width
from pretrain.files import replacing
from pretrain.names import shown

COLOURS = {"include": (90, 230, 120), "exclude": (255, 110, 90)}
DARK = 0.35
"""Brightness of what does not count."""
CELLS = (120, 180, 255)
QUALITY = 90


def draw_zones(
    picture: NDArray[np.uint8],
    zones: Zones,
    cells: NDArray[np.bool_] | None = None,
    seen: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    """Zones on a picture uint8 (height, width, 3), with their names.

    `cells` bool (rows, columns), of the part `seen` (x1, y1, x2, y2) in pixels: those that count are outlined, and
    then what is dark are the others, for so the detector takes it.
    """
    height, width = picture.shape[:2]
    inside = zones.pixels(height, width) if cells is None or seen is None else _cell_pixels(height, width, cells, seen)
    dimmed = np.where(inside[..., None], picture, (DARK * picture).astype(np.uint8))
    image = Image.fromarray(dimmed)
    draw = ImageDraw.Draw(image)
    line = line_width(height)
    if cells is not None and seen is not None:
        _draw_cells(draw, cells, seen)
    for zone in zones.zones:
        _draw_zone(draw, zone, (width, height), line)
    return image


def write_zone_picture(target: Path, image: Image.Image) -> None:
    """As JPEG, atomically."""
    with replacing(target) as temporary:
        image.save(temporary, "JPEG", quality=QUALITY)


def _cell_pixels(
    height: int, width: int, cells: NDArray[np.bool_], seen: tuple[float, float, float, float]
) -> NDArray[np.bool_]:
    """bool (height, width): pixels whose cell counts; those that no cell holds do not."""
    x1, y1, x2, y2 = seen
    rows = np.floor((np.arange(height) + 0.5 - y1) / (y2 - y1) * cells.shape[0]).astype(np.int64)
    columns = np.floor((np.arange(width) + 0.5 - x1) / (x2 - x1) * cells.shape[1]).astype(np.int64)
    framed = np.pad(cells, 1)  # a border of cells that do not count
    return np.asarray(
        framed[np.clip(rows + 1, 0, cells.shape[0] + 1)][:, np.clip(columns + 1, 0, cells.shape[1] + 1)], bool
    )


def _draw_cells(draw: ImageDraw.ImageDraw, cells: NDArray[np.bool_], seen: tuple[float, float, float, float]) -> None:
    rows = np.linspace(seen[1], seen[3], cells.shape[0] + 1)
    columns = np.linspace(seen[0], seen[2], cells.shape[1] + 1)
    for row, column in np.argwhere(cells).tolist():
        draw.rectangle((columns[column], rows[row], columns[column + 1] - 1, rows[row + 1] - 1), outline=CELLS)


def _draw_zone(draw: ImageDraw.ImageDraw, zone: Zone, size: tuple[int, int], line: int) -> None:
    corners = [(point.x * (size[0] - 1), point.y * (size[1] - 1)) for point in zone.polygon]
    draw.line([*corners, corners[0]], fill=COLOURS[zone.kind], width=line, joint="curve")
    text = f"{shown(zone.name)} ({zone.kind})"
    letters = font(max(10, size[1] // 24))
    x, y = min(corners, key=lambda corner: (corner[1], corner[0]))
    left, top, right, bottom = draw.textbbox((x, y), text, font=letters)
    across = min(0.0, size[0] - 2 - right)
    draw.rectangle((left + across - 2, top - 2, right + across + 2, bottom + 2), fill=(20, 20, 20))
    draw.text((x + across, y), text, fill=COLOURS[zone.kind], font=letters)
