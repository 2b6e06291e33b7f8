"""Wins of pairs by hand; whole AUCs of draws are tested with the metrics that use them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from downstream.evaluation.weighted_auc import pair_wins, weighted_auc


class Scored(NamedTuple):
    scores: np.ndarray
    positive: np.ndarray
    negative: np.ndarray


VIDEOS = [
    Scored(np.array([0.9, 0.5]), np.array([2, 0]), np.array([0, 3])),
    Scored(np.array([0.5, 0.1]), np.array([1, 0]), np.array([0, 4])),
]


def test_wins_count_pairs_of_frames_and_ties_half() -> None:
    # rows: whose anomalous frames; columns: whose normal ones
    assert pair_wins(VIDEOS).tolist() == [[6, 8], [1.5, 4]]


def test_draws_weigh_both_sides_and_are_undefined_without_one() -> None:
    weights = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 0.0]])
    found = weighted_auc(pair_wins(VIDEOS), VIDEOS, weights, weights)
    assert found[:2].tolist() == [19.5 / 21, 1.0]
    assert np.isnan(found[2])
