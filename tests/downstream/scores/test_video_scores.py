from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.errors import UserError


def test_anything_array_like_becomes_scores() -> None:
    scores = make_scores("v", np.float32([0.5, 0.25]), range(0, 48, 16))
    assert (scores.scores.dtype, scores.edges.dtype) == (np.float64, np.int64)
    assert scores.covered_frames == 32


@pytest.mark.parametrize(
    ("values", "edges", "words"),
    [
        ([], [0], r"scores of 'v': an array of shape \(0,\); expected \(snippets >= 1,\)"),
        ([0.1, 0.2], [0, 16], r"2 scores need 3 edges, there are \(2,\)"),
        ([0.1], [5, 16], "the first snippet begins at frame 5, not 0"),
        ([0.1, 0.2], [0, 16, 16], "edges do not increase after snippet 1"),
        ([0.1, np.inf], [0, 16, 32], "1 of 2 are not finite, the first is snippet 1"),
        (["x"], [0, 16], "scores of 'v' are not numbers with whole-numbered edges"),
    ],
)
def test_scores_that_cannot_be_used_are_refused(values: list[Any], edges: list[int], words: str) -> None:
    with pytest.raises(UserError, match=words):
        make_scores("v", values, edges)


def test_arrays_are_checked_too() -> None:
    with pytest.raises(UserError, match="scores of 'v': an array of shape"):
        VideoScores("v", np.zeros((2, 2)), np.arange(3))
