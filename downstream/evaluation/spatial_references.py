"""What a detector of whole frames would reach on boxes: its score spread over the picture, or set in the middle.

Anomalies that cameras are pointed at lie in the middle more often than chance; a detector of cells has to beat this.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores
from pretrain.errors import UserError, nearest, problem_list


def centre_cell(scores: Sequence[VideoScores], like: Sequence[VideoScores]) -> list[VideoScores]:
    """Maps of a whole-frame detector that always points at the middle, on the grids and snippets of `like`.

    The frame's score stands in the centre cell (an even number of rows or columns has two in the middle: all of them);
    every other cell ranks below every centre cell of the set. UserError: see `whole_frame`.
    """
    matched = _matched(scores, like)
    lowest = min(float(values.min()) for values in matched)
    below = np.float64(lowest - max(1.0, abs(lowest)))
    made = []
    for values, entry in zip(matched, like, strict=True):
        cells = np.full(_map_of(entry).scores.shape, below, np.float64)
        down, across = map(_middle, _map_of(entry).grid)
        cells[:, down, across] = values[:, None, None]
        made.append(_with_map(entry, cells))
    return made


def whole_frame(scores: Sequence[VideoScores], like: Sequence[VideoScores]) -> list[VideoScores]:
    """Maps of a detector that says nothing of where: the frame's score in every cell, on the grids of `like`.

    A snippet of `like` takes the score of the snippet of `scores` that holds its middle frame. UserError with all of
    these at once: videos that only one of the two has, a video of `like` without a map, lengths a snippet or more
    apart.
    """
    made = []
    for values, entry in zip(_matched(scores, like), like, strict=True):
        cells = np.broadcast_to(values[:, None, None], _map_of(entry).scores.shape)
        made.append(_with_map(entry, cells.copy()))
    return made


def _matched(scores: Sequence[VideoScores], like: Sequence[VideoScores]) -> list[NDArray[np.float64]]:
    """For every video of `like`, a frame score for each of its snippets."""
    by_name = {entry.name: entry for entry in scores}
    others = {entry.name for entry in like}
    problems = [f"'{name}': no map to imitate{nearest(name, others)}" for name in sorted(by_name.keys() - others)]
    for entry in like:
        if entry.map is None:
            problems.append(f"'{entry.name}': given as an example, but without a map")
        if entry.name not in by_name:
            problems.append(f"'{entry.name}': no frame scores")
        elif _apart(by_name[entry.name], entry):
            problems.append(
                f"'{entry.name}': frame scores of {by_name[entry.name].covered_frames} frames, "
                f"a map of {entry.covered_frames}"
            )
    if problems:
        raise UserError(f"{len(problems)} problem(s) between frame scores and maps:\n{problem_list(problems)}")
    return [_resampled(by_name[entry.name], entry.edges).astype(np.float64) for entry in like]


def _apart(first: VideoScores, second: VideoScores) -> bool:
    longest = max(int(entry.edges[-1] - entry.edges[-2]) for entry in (first, second))
    return abs(first.covered_frames - second.covered_frames) >= longest


def _resampled(entry: VideoScores, edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """(S,): the scores of the snippets that hold the middle frames; past the end, the last."""
    middles = (edges[:-1] + edges[1:]) // 2
    held = np.searchsorted(entry.edges, middles, side="right") - 1
    return entry.scores[np.minimum(held, len(entry.scores) - 1)]


def _middle(count: int) -> slice:
    return slice((count - 1) // 2, count // 2 + 1)


def _map_of(entry: VideoScores) -> ScoreMap:
    assert entry.map is not None
    return entry.map


def _with_map(like: VideoScores, cells: NDArray[np.float64]) -> VideoScores:
    score_map = ScoreMap(cells, _map_of(like).size, _map_of(like).seen)
    return VideoScores(like.name, score_map.frame_scores(), like.edges, score_map)
