"""What a detector says of one video: a score for each of its snippets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from downstream.scores.score_map import ScoreMap
from pretrain.errors import UserError


@dataclass(frozen=True, slots=True, eq=False)
class VideoScores:
    """One video's scores; higher is more anomalous. Raises UserError where they cannot be used."""

    name: str
    scores: NDArray[np.float64]
    """(S,), finite, S >= 1."""
    edges: NDArray[np.int64]
    """(S + 1,): snippet i stands for frames `[edges[i], edges[i + 1])`; begins at 0, strictly increasing."""
    map: ScoreMap | None = None
    """Where in the picture, of a detector that scores cells: `scores` are then the highest cell's. Score files leave it
    out; see `downstream.scores.map_file`."""

    def __post_init__(self) -> None:
        if wrong := problem_of(self.scores, self.edges):
            raise UserError(f"scores of '{self.name}': {wrong}")

    @property
    def covered_frames(self) -> int:
        """Frames that have a score."""
        return int(self.edges[-1])


def make_scores(name: str, scores: ArrayLike, edges: ArrayLike) -> VideoScores:
    """A `VideoScores` out of anything array-like (a list, float32)."""
    try:
        return VideoScores(name, np.asarray(scores, np.float64), np.asarray(edges, np.int64))
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"scores of '{name}' are not numbers with whole-numbered edges ({error})") from error


def problem_of(scores: NDArray[Any], edges: NDArray[Any]) -> str:
    """What is wrong with scores and their edges, in words; an empty string where nothing is."""
    if scores.ndim != 1 or not len(scores):
        return f"an array of shape {scores.shape}; expected (snippets >= 1,)"
    if edges.shape != (len(scores) + 1,):
        return f"{len(scores)} scores need {len(scores) + 1} edges, there are {edges.shape}"
    if edges[0] != 0:
        return f"the first snippet begins at frame {edges[0]}, not 0; give the frames before it a score"
    if not (np.diff(edges) > 0).all():
        return f"edges do not increase after snippet {int(np.argmin(np.diff(edges) > 0))}"
    if not np.isfinite(scores).all():
        bad = np.flatnonzero(~np.isfinite(scores))
        return f"{len(bad)} of {len(scores)} are not finite, the first is snippet {bad[0]}"
    return ""
