"""Zones on scores of cells: what lies outside has the score 0, and takes no part in what a snippet scores."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from downstream.features.feature_spec import Grid
from downstream.features.zones import Zones
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores

Bools = NDArray[np.bool_]


def cell_mask(
    zones: Zones, grid: Grid, size: tuple[int, int], seen: tuple[float, float, float, float]
) -> NDArray[np.bool_]:
    """bool (rows, columns): the cells that count, of a picture of `size` (width, height) of which the part `seen`
    (x1, y1, x2, y2) is divided into cells."""
    width, height = size
    x1, y1, x2, y2 = seen
    rows, columns = np.linspace(y1, y2, grid[0] + 1) / height, np.linspace(x1, x2, grid[1] + 1) / width
    return zones.cells(rows, columns)


def masked_cells(scores: NDArray[np.float64], inside: Bools) -> NDArray[np.float64]:
    """Scores (snippets, rows, columns), 0 where `inside` (rows, columns) is not."""
    return np.where(inside, scores, 0.0)


def with_cells(scores: VideoScores, inside: Bools) -> VideoScores:
    """Scores of a detector of cells, of those that count alone: the map, and each snippet's highest."""
    assert scores.map is not None
    kept: ScoreMap = dataclasses.replace(scores.map, scores=masked_cells(scores.map.scores, inside))
    return dataclasses.replace(scores, map=kept, scores=kept.frame_scores())
