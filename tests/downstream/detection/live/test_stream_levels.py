"""Without a calibration a stream is its own scale, close to that of a video of the same scores, and forgets slowly."""

from __future__ import annotations

import numpy as np

from downstream.detection.live.stream_levels import REMEMBERED, StreamLevels
from downstream.events.alarm_level import LevelScale, own_scale


def test_levels_of_a_stream_are_those_of_a_video_of_the_same_scores() -> None:
    rng = np.random.default_rng(0)
    scores = 1 / (1 + np.exp(-rng.normal(-2, 1.5, 500)))
    stream = StreamLevels(None)
    for score in scores.tolist():
        stream.add(score)
    whole = own_scale(scores)
    levels = [(stream.level(score), whole.level(score)) for score in np.linspace(0.001, 0.9999, 40).tolist()]
    assert all(abs(mine.value - its.value) <= 1 for mine, its in levels)
    assert len({mine.value for mine, _ in levels}) > 5
    assert levels[-1][0].words.startswith("very unusual for this stream, level ")


def test_what_was_long_ago_is_forgotten() -> None:
    stream = StreamLevels(None)
    for score in [0.1] * 3 * REMEMBERED + [0.9] * 3 * REMEMBERED:
        stream.add(score)
    assert stream.level(0.9).value == 0


def test_a_calibration_is_taken_where_there_is_one() -> None:
    scale = LevelScale(ordinary=0.2, alarm=0.9, relative_to="normal footage")
    stream = StreamLevels(scale)
    stream.add(0.95)
    assert stream.level(0.95) == scale.level(0.95)


def test_an_event_does_not_become_ordinary_by_lasting() -> None:
    stream = StreamLevels(None, release=0.5)
    for score in [0.1] * 20 + [0.97] * 200:
        stream.add(score)
    assert stream.level(0.97).value == 10
    stream = StreamLevels(None, release=0.5)
    stream.add(0.97)
    assert stream.level(0.97).value == 0, "there is nothing else yet"
