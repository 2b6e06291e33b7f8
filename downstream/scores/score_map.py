"""Scores of cells: a grid over the part of the picture that a network saw, for every snippet of a video."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ScoreMap:
    """Scores of one video's cells. ValueError where the parts do not fit each other."""

    scores: NDArray[np.float64]
    """(snippets, rows, columns); finite, higher is more anomalous."""
    size: tuple[int, int]
    """Width and height of the picture in pixels."""
    seen: tuple[float, float, float, float]
    """x1, y1, x2, y2 in pixels of the picture: the part that the grid divides evenly. The rest was never looked at."""

    def __post_init__(self) -> None:
        width, height = self.size
        x1, y1, x2, y2 = self.seen
        if self.scores.ndim != 3 or not all(self.scores.shape) or not np.isfinite(self.scores).all():
            raise ValueError(f"scores of shape {self.scores.shape}; expected (snippets, rows, columns), all finite")
        if not (0 <= x1 < x2 <= width + 1e-6 and 0 <= y1 < y2 <= height + 1e-6):
            raise ValueError(f"the part seen, {self.seen}, is not within a picture of {width}x{height} pixels")

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.scores.shape[1], self.scores.shape[2]

    def frame_scores(self) -> Floats:
        """(snippets,): the highest cell of each."""
        return self.scores.max(axis=(1, 2)).astype(np.float64)

    def edges(self) -> tuple[Floats, Floats]:
        """Pixel borders of rows (rows + 1,) and of columns (columns + 1,)."""
        x1, y1, x2, y2 = self.seen
        rows, columns = self.grid
        return np.linspace(y1, y2, rows + 1), np.linspace(x1, x2, columns + 1)
