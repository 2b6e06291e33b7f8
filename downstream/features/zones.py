"""Zones: polygons that say which parts of a picture count, in shares of its width and height.

    include   what counts; where there is none, all of the picture does
    exclude   what does not count, wherever it overlaps an `include`

A point counts where it lies in any `include` (or there is none) and in no `exclude`. A polygon closes by itself;
points on an edge may count to either side.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from downstream.features.crops import Region, crop_boxes
from downstream.features.feature_spec import NOISE_FLOOR
from pretrain.data.video import VideoError, VideoInfo

Floats = NDArray[np.float64]
Kind = Literal["include", "exclude"]
CELL_SHARE = 0.5
"""Of a cell that must lie inside, for it to count [ours]."""
_POINTS = 16
"""A side of the lattice of points in a cell by which its share is measured: to 1/256."""


class Point(NamedTuple):
    """Shares of the picture's width, from the left, and of its height, from the top; in [0, 1]."""

    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class Zone:
    """One polygon."""

    name: str
    kind: Kind
    polygon: tuple[Point, ...]
    """Its corners in order, three or more."""

    def holds(self, x: Floats, y: Floats) -> NDArray[np.bool_]:
        """Whether points lie in it (even-odd rule); x and y of any shapes that broadcast, in shares of the picture."""
        inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), bool)
        for (x1, y1), (x2, y2) in edges_of(self.polygon):
            if y1 != y2:  # a ray to the right crosses no level edge
                crossing = x1 + (y - y1) * (x2 - x1) / (y2 - y1)
                inside ^= ((y1 > y) != (y2 > y)) & (x < crossing)
        return inside


@dataclass(frozen=True, kw_only=True)
class Zones:
    """What counts of a picture."""

    zones: tuple[Zone, ...]
    """At least one."""
    cell_share: float = CELL_SHARE
    """Of a cell that must lie inside, for it to count; in (0, 1]."""

    def holds(self, x: Floats, y: Floats) -> NDArray[np.bool_]:
        """Whether points count; x and y in shares of the picture, of any shapes that broadcast."""
        shape = np.broadcast_shapes(x.shape, y.shape)
        includes = [zone.holds(x, y) for zone in self.zones if zone.kind == "include"]
        inside = np.logical_or.reduce(includes) if includes else np.ones(shape, bool)
        for zone in self.zones:
            if zone.kind == "exclude":
                inside = inside & ~zone.holds(x, y)
        return np.asarray(inside, bool)

    def names(self) -> tuple[str, ...]:
        """Of what is included, in order."""
        return tuple(zone.name for zone in self.zones if zone.kind == "include")

    def names_in(self, left: float, top: float, right: float, bottom: float) -> tuple[str, ...]:
        """The included zones that a box reaches into, in shares of the picture; the one that has most of it first."""
        x, y = (
            low + (np.arange(_POINTS) + 0.5) / _POINTS * (high - low) for low, high in ((left, right), (top, bottom))
        )
        counts = self.holds(x[None, :], y[:, None])
        parts = [
            (zone.name, int((counts & zone.holds(x[None, :], y[:, None])).sum()))
            for zone in self.zones
            if zone.kind == "include"
        ]
        return tuple(name for name, points in sorted(parts, key=lambda part: -part[1]) if points)

    def pixels(self, height: int, width: int) -> NDArray[np.bool_]:
        """bool (height, width): the pixels of a whole picture of that size whose centres count."""
        y, x = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
        return self.holds(x[None, :], y[:, None])

    def cells(self, rows: Floats, columns: Floats) -> NDArray[np.bool_]:
        """bool (rows, columns): the cells that count, by their borders (rows + 1,), (columns + 1,) in shares of the
        picture."""
        y, x = _lattice(rows), _lattice(columns)
        inside = self.holds(x[None, :], y[:, None]).reshape(len(rows) - 1, _POINTS, len(columns) - 1, _POINTS)
        return np.asarray(inside.mean(axis=(1, 3)) >= self.cell_share, bool)

    def as_json(self) -> dict[str, Any]:
        """For files; `zone_file` reads it."""
        return {
            "cell_share": self.cell_share,
            "zones": [
                {"name": zone.name, "kind": zone.kind, "polygon": [list(point) for point in zone.polygon]}
                for zone in self.zones
            ],
        }


def edges_of(polygon: tuple[Point, ...]) -> list[tuple[Point, Point]]:
    """Its sides in order, the last one back to the first corner."""
    return list(pairwise((*polygon, polygon[0])))


def _lattice(borders: Floats) -> Floats:
    """`_POINTS` points within each of the parts between borders, evenly spaced."""
    steps = (np.arange(_POINTS) + 0.5) / _POINTS
    return (borders[:-1, None] + np.diff(borders)[:, None] * steps).reshape(-1)


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureMask:
    """What a network of whole pictures sees of those of one size: pixels that do not count have one colour."""

    inside: NDArray[np.bool_]
    """(height, width) of the region that is decoded."""
    colour: NDArray[np.uint8]
    """(3,): of the pixels that do not count."""
    shares: NDArray[np.float64]
    """(crops,): how much of each crop counts."""

    def hidden(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A copy of frames (..., height, width, 3) in which what does not count has the one colour."""
        return np.where(self.inside[..., None], pixels, self.colour)

    def motion(self, values: Tensor, crops: Tensor) -> Tensor:
        """Logarithms of motion (clips,) over whole crops -> over what counts of them; `crops` int64 (clips,): of which.

        What has one colour does not move, so that the mean over the whole is that over the inside times its share.
        """
        shares = torch.from_numpy(np.where(self.shares > 0, self.shares, 1.0))[crops]
        moved = (values.double().exp() - NOISE_FLOOR).clamp(min=0) / shares
        return (moved + NOISE_FLOOR).log().to(values.dtype)


def picture_mask(
    zones: Zones, info: VideoInfo, region: Region, crops: int, size: tuple[int, int], mean: tuple[float, ...]
) -> PictureMask | None:
    """The mask of a video's region, for crops of `size` (height, width) and a network whose mean colour is `mean`.

    The colour is that mean, which a network is given as zeros. None where all of the region counts: nothing is to be
    hidden then. VideoError where nothing of what the network sees counts.
    """
    y = (region.y + np.arange(region.height) + 0.5) / region.decode_height
    x = (region.x + np.arange(region.width) + 0.5) / region.decode_width
    inside = zones.holds(x[None, :], y[:, None])
    if inside.all():
        return None
    boxes = crop_boxes(crops, region.height, region.width, *size)
    shares = np.array([inside[box.y : box.y + size[0], box.x : box.x + size[1]].mean() for box in boxes])
    if not shares.any():
        raise nothing_counts(info)
    colour = np.round(255 * np.asarray(mean)).astype(np.uint8)
    return PictureMask(inside=inside, colour=colour, shares=shares)


def nothing_counts(info: VideoInfo) -> VideoError:
    """The error of zones that leave nothing to look at."""
    return VideoError(
        f"the zones leave nothing of what the detector sees in a picture of {info.width}x{info.height} pixels: make "
        "them larger, or lower cell_share where it scores cells"
    )
