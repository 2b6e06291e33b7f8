from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.events.box_threshold import box_threshold
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.errors import UserError

# few values, so that ties are the rule; the last two are neighbours
VALUES = [0.0, 0.1, 0.7, 1.0, float(np.nextafter(np.float64(1), np.float64(0)))]
SNIPPETS = st.lists(st.tuples(st.sampled_from(VALUES), st.integers(1, 5)), min_size=1, max_size=6)


def video(name: str, snippets: list[tuple[float, int]]) -> VideoScores:
    """Out of pairs of a score and a number of frames."""
    frames = [length for _, length in snippets]
    return make_scores(name, np.array([score for score, _ in snippets], np.float64), np.cumsum([0, *frames]))


def alarming(videos: list[VideoScores], threshold: float) -> float:
    """Share of frames at or over the threshold, frame by frame."""
    frames = [
        score >= threshold
        for each in videos
        for score, length in zip(each.scores, np.diff(each.edges), strict=True)
        for _ in range(length)
    ]
    return sum(frames) / len(frames)


@settings(max_examples=100, deadline=None)
@given(st.lists(SNIPPETS, min_size=1, max_size=3), SNIPPETS, st.integers(0, 11))
def test_smallest_float32_that_alarms_seldom_enough(
    normal: list[list[tuple[float, int]]], abnormal: list[tuple[float, int]], twelfths: int
) -> None:
    share = twelfths / 12
    quiet = [video(f"n{number}", snippets) for number, snippets in enumerate(normal)]
    labels = {each.name: 0 for each in quiet} | {"a": 1}
    threshold = box_threshold([video("a", abnormal), *quiet], labels, share)
    assert math.isfinite(threshold)
    assert threshold == np.float64(threshold)
    assert alarming(quiet, threshold) <= share
    assert alarming(quiet, float(np.nextafter(np.float64(threshold), np.float64(-np.inf)))) > share


def test_by_hand_with_ties_and_unequal_snippets() -> None:
    normal = [video("n", [(0.2, 16), (0.5, 8), (0.5, 4), (0.9, 4)])]

    def after(score: float) -> float:
        return float(np.nextafter(np.float64(score), np.float64(2)))

    assert box_threshold(normal, {"n": 0}, 0) == after(0.9)
    assert box_threshold(normal, {"n": 0}, 4 / 32) == after(0.5)  # 0.9 alone is just allowed
    assert box_threshold(normal, {"n": 0}, 15 / 32) == after(0.5)  # both ties or neither
    assert box_threshold(normal, {"n": 0}, 16 / 32) == after(0.2)


def test_a_share_that_is_met_to_the_frame_is_met() -> None:
    normal = [video("n", [(0.9, 3), (0.1, 27)])]
    assert box_threshold(normal, {"n": 0}, 0.1) == np.nextafter(np.float64(0.1), np.float64(1))


def test_scores_with_more_digits_than_float32_stay_below() -> None:
    threshold = box_threshold([make_scores("n", [0.7, 0.3], [0, 1, 2])], {"n": 0}, 0)
    assert 0.7 < threshold < 0.7000001


@pytest.mark.parametrize(
    ("labels", "share", "words"),
    [
        ({"n": 1}, 0.1, "none of the 1 validation video(s) is normal; hold more videos out of training"),
        ({}, 0.1, "'n' has no label"),
        ({"n": 0}, 1.0, "alarm_share is 1.0; it must lie in [0, 1)"),
        ({"n": 0}, -0.1, "alarm_share is -0.1"),
        ({"n": 0}, math.nan, "alarm_share is nan"),
    ],
)
def test_what_cannot_be_chosen_from_is_named(labels: dict[str, int], share: float, words: str) -> None:
    with pytest.raises(UserError) as caught:
        box_threshold([video("n", [(0.5, 16)])], labels, share)
    assert words in str(caught.value)
    assert "no threshold for boxes can be chosen" in str(caught.value)
