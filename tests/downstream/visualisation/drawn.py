"""Scores of cells with one hot place, for tests of pictures."""

from __future__ import annotations

import numpy as np

from downstream.events.boxes import ScoredBox, find_boxes
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores

THRESHOLD = 0.5


def hot_cell(snippets: int, hot: dict[int, float], size: tuple[int, int] = (72, 48), frames: int = 8) -> VideoScores:
    """A grid of 4 x 6 over the whole picture; the cell in row 1, column 2 is hot in these snippets, all else 0.1."""
    cells = np.full((snippets, 4, 6), 0.1, np.float64)
    for snippet, score in hot.items():
        cells[snippet, 1, 2] = score
    score_map = ScoreMap(cells, size, (0.0, 0.0, *map(float, size)))
    return VideoScores("street", score_map.frame_scores(), np.arange(snippets + 1) * frames, score_map)


def boxes_of(scores: VideoScores) -> list[list[ScoredBox]]:
    """The hot cell's box: pixels 24 to 36 across, 12 to 24 down."""
    assert scores.map is not None
    return find_boxes(scores.map, THRESHOLD)
