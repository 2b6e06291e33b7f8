"""Whole-frame detectors as maps: where the score stands, and that it is the right snippet's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.evaluation.metrics import compute_metrics
from downstream.evaluation.settings import LocalisationSettings
from downstream.evaluation.spatial_metrics import WeightedMaps
from downstream.evaluation.spatial_references import centre_cell, whole_frame
from downstream.evaluation.spatial_truth import locate
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.errors import UserError
from tests.downstream.boxed_videos import EDGES, random_set, scored


def like(rows: int, columns: int, name: str = "a") -> VideoScores:
    return scored(name, np.zeros((3, rows, columns)))


@pytest.mark.parametrize(("grid", "centres"), [((7, 7), 1), ((3, 4), 2), ((4, 4), 4), ((1, 1), 1), ((2, 1), 2)])
def test_the_score_stands_in_the_middle(grid: tuple[int, int], centres: int) -> None:
    (made,) = centre_cell([make_scores("a", [0.2, 0.9, 0.4], EDGES)], [like(*grid)])
    assert made.map is not None
    assert made.map.grid == grid
    top = made.map.scores == made.map.scores.max(axis=(1, 2), keepdims=True)
    assert (top.sum(axis=(1, 2)) == centres).all()
    assert (top == top[:, ::-1, ::-1]).all()  # about the middle
    np.testing.assert_allclose(made.map.frame_scores(), [0.2, 0.9, 0.4], rtol=1e-6)
    np.testing.assert_array_equal(made.scores, made.map.frame_scores())


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=6, max_size=6))
@settings(max_examples=50, deadline=None)
def test_every_other_cell_of_the_set_is_below_every_centre(values: list[float]) -> None:
    names = ("a", "b")
    entries = [make_scores(name, values[3 * i : 3 * i + 3], EDGES) for i, name in enumerate(names)]
    maps = [video.map for video in centre_cell(entries, [like(3, 3, name) for name in names]) if video.map]
    centres = np.concatenate([entry.scores[:, 1, 1] for entry in maps])
    others = np.concatenate([np.delete(entry.scores.reshape(3, 9), 4, axis=1).ravel() for entry in maps])
    assert others.max() < centres.min()


def test_the_whole_frame_keeps_size_and_part_seen() -> None:
    example = VideoScores("a", np.zeros(3), EDGES, ScoreMap(np.zeros((3, 2, 2), np.float64), (64, 48), (8, 0, 56, 48)))
    (made,) = whole_frame([make_scores("a", [1, 2, 3], EDGES)], [example])
    assert made.map is not None
    assert (made.map.size, made.map.seen) == ((64, 48), (8, 0, 56, 48))
    np.testing.assert_array_equal(made.map.scores, np.broadcast_to([[[1]], [[2]], [[3]]], (3, 2, 2)))


def test_snippets_are_matched_by_their_middle_frame() -> None:
    # middles of [0, 4), [4, 8), [8, 12) are 2, 6 and 10
    (made,) = whole_frame([make_scores("a", [0, 1, 2, 3], [0, 2, 6, 7, 11])], [like(2, 2)])
    assert made.scores.tolist() == [1, 2, 3]
    assert made.edges.tolist() == EDGES.tolist()


def test_a_whole_frame_points_as_chance_does() -> None:
    made = random_set(np.random.default_rng(1))
    frames = [make_scores(entry.name, entry.scores, entry.edges) for entry in made.scores]
    videos = locate(whole_frame(frames, made.scores), made.videos)
    boxes = [made.predicted[video.name] for video in videos]
    weights = np.ones((1, len(videos)))
    values = compute_metrics(WeightedMaps(videos=videos, boxes=boxes, settings=LocalisationSettings(), weights=weights))
    assert values["pointing"] == pytest.approx(values["pointing_chance"])


def test_all_problems_are_named_at_once() -> None:
    bare = make_scores("c", [0, 0, 0], EDGES)
    short = make_scores("b", [0], [0, 4])
    with pytest.raises(UserError) as caught:
        centre_cell([make_scores("aa", [0, 0, 0], EDGES), short, bare], [like(2, 2), like(2, 2, "b"), bare])
    assert str(caught.value).splitlines() == [
        "4 problem(s) between frame scores and maps:",
        "  - 'aa': no map to imitate; did you mean 'a'?",
        "  - 'a': no frame scores",
        "  - 'b': frame scores of 4 frames, a map of 12",
        "  - 'c': given as an example, but without a map",
    ]
