"""Cells and boxes: which cells a box touches, how much of each it covers, and the box around cells.

Boxes are x1, y1, x2, y2 in pixels of the picture, x2 and y2 exclusive. Rows and columns are given by their pixel
borders, see `ScoreMap.edges`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class PixelBox(NamedTuple):
    """Pixels of the picture, `x2` and `y2` exclusive."""

    x1: float
    y1: float
    x2: float
    y2: float


def covered(boxes: ArrayLike, rows: Floats, columns: Floats) -> Floats:
    """(boxes, rows, columns): pixels of each cell that each box (boxes, 4) covers."""
    x1, y1, x2, y2 = (side[:, None] for side in np.asarray(boxes, np.float64).reshape(-1, 4).T)
    height = np.clip(np.minimum(y2, rows[1:]) - np.maximum(y1, rows[:-1]), 0, None)
    width = np.clip(np.minimum(x2, columns[1:]) - np.maximum(x1, columns[:-1]), 0, None)
    return height[:, :, None] * width[:, None, :]


def centres_in(boxes: ArrayLike, rows: Floats, columns: Floats) -> NDArray[np.bool_]:
    """bool (rows, columns): the cells whose centre lies in any of the boxes."""
    y, x = (rows[1:] + rows[:-1]) / 2, (columns[1:] + columns[:-1]) / 2
    x1, y1, x2, y2 = (side[:, None] for side in np.asarray(boxes, np.float64).reshape(-1, 4).T)
    down, across = (y1 <= y) & (y < y2), (x1 <= x) & (x < x2)
    return (down[:, :, None] & across[:, None, :]).any(axis=0)


def box_of(cells: NDArray[np.bool_], rows: Floats, columns: Floats) -> PixelBox:
    """The smallest box that holds all chosen cells (rows, columns), of which there is at least one."""
    down, across = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
    return PixelBox(
        float(columns[across[0]]), float(rows[down[0]]), float(columns[across[-1] + 1]), float(rows[down[-1] + 1])
    )


def union_pixels(boxes: ArrayLike, rows: Floats, columns: Floats) -> Floats:
    """(rows, columns): pixels of each cell that lie in at least one of the boxes (boxes, 4). Exact, no rasterising."""
    given = np.asarray(boxes, np.float64).reshape(-1, 4)
    if len(given) < 2:
        return covered(given, rows, columns).sum(axis=0)
    # cut the plane along every side of every box: each piece lies in a box or outside, whole
    xs, ys = np.unique(given[:, [0, 2]]), np.unique(given[:, [1, 3]])
    inside = centres_in(given, ys, xs)
    pieces = [(xs[j], ys[i], xs[j + 1], ys[i + 1]) for i, j in np.argwhere(inside)]
    return covered(pieces, rows, columns).sum(axis=0)


def iou(first: ArrayLike, second: ArrayLike) -> Floats:
    """(m, n): intersection over union of boxes (m, 4) and (n, 4)."""
    a, b = (np.asarray(boxes, np.float64).reshape(-1, 4) for boxes in (first, second))
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a, b)]
    whole = areas[0][:, None] + areas[1][None] - shared
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
