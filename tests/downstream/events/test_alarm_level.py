"""Levels for people: level 5 is the threshold, rarity is counted, words are relative where nothing is calibrated."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstream.events.alarm_level import (
    AlarmLevel,
    LevelScale,
    calibrated_scale,
    describe_scale,
    hours_in_words,
    own_scale,
    scale_of,
)
from downstream.events.calibration import calibrate
from downstream.events.calibration_file import Calibration
from downstream.events.rule import AlarmRule
from downstream.scores.video_scores import make_scores


def score_at(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))


CALIBRATION = Calibration(
    rule=AlarmRule(threshold=score_at(4), release=score_at(3)),
    wanted_per_hour=0.5,
    margin=1.0,
    events=3,
    hours=12.0,
    videos=2,
    ordinary=score_at(-1),
    peaks=(score_at(4.5), score_at(5), score_at(6)),
)
SCALE = calibrated_scale(CALIBRATION)


@pytest.mark.parametrize(
    ("odds", "words"),
    [
        (-3, "ordinary, level 0 of 10"),
        (-1, "ordinary, level 0 of 10"),
        (1.5, "unusual, level 2 of 10"),
        (3.9, "very unusual, level 4 of 10"),
        (4, "alarm, level 5 of 10: once in 4 h of normal footage"),
        (5, "alarm, level 6 of 10: once in 6 h of normal footage"),
        (6, "alarm, level 7 of 10: once in 12 h of normal footage"),
        (6.1, "alarm, level 7 of 10: not once in 12 h of normal footage"),
        (15, "alarm, level 10 of 10: not once in 12 h of normal footage"),
    ],
)
def test_a_calibrated_level_is_5_at_the_threshold_and_says_how_often_it_is_reached(odds: float, words: str) -> None:
    assert SCALE is not None
    assert SCALE.level(score_at(odds)).words == words


def test_a_calibration_counts_its_events_by_their_peaks() -> None:
    rng = np.random.default_rng(1)
    videos = [(make_scores(f"v{i}", rng.uniform(0, 1, 400).tolist(), np.arange(401) * 25), 25.0) for i in range(4)]
    found = calibrate(videos, 60.0, margin=1.0, min_seconds=1.0, merge_seconds=2.0)
    assert found.events > 3
    assert len(found.peaks) == found.events
    assert list(found.peaks) == sorted(found.peaks)
    assert found.peaks[0] >= found.rule.threshold
    assert found.ordinary == pytest.approx(0.5, abs=0.05)
    scale = calibrated_scale(found)
    assert scale is not None
    at_threshold = scale.level(found.rule.threshold)
    assert at_threshold.once_in_hours == pytest.approx(1 / found.per_hour)
    assert (at_threshold.value, at_threshold.word) == (5, "alarm")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 1), st.floats(0, 1))
def test_higher_scores_never_have_lower_levels(own: list[float], first: float, second: float) -> None:
    low, high = sorted((first, second))
    for scale in (own_scale(np.array(own)), SCALE):
        assert scale is not None
        below, above = scale.level(low), scale.level(high)
        assert 0 <= below.value <= above.value <= 10
        assert (below.once_in_hours or 0) <= (above.once_in_hours or 0)


def test_without_a_calibration_a_level_is_relative_to_the_video_and_is_never_called_an_alarm() -> None:
    scores = np.array([0.1, 0.12, 0.09, 0.11, 0.1, 0.13, 0.999])
    level = own_scale(scores).level(0.999)
    assert level.words == "very unusual for this video, level 10 of 10"
    assert level.once_in_hours is None
    assert own_scale(scores).level(0.1).words == "ordinary for this video, level 0 of 10"
    # trifles are no mountains: a video that hardly changes has no high level
    assert own_scale(np.array([0.5, 0.501, 0.5, 0.502, 0.5])).level(0.502).value == 0
    assert "not calibrated" in describe_scale(None)


def test_a_calibration_of_before_levels_gives_none() -> None:
    old = Calibration(
        rule=CALIBRATION.rule, wanted_per_hour=1.0, margin=1.0, events=1, hours=2.0, videos=1
    )  # as read from a file without them
    assert calibrated_scale(old) is None
    assert calibrated_scale(None) is None
    scores = np.array([0.2, 0.3])
    assert scale_of(None, scores) == own_scale(scores)
    assert scale_of(SCALE, scores) is SCALE


def test_a_threshold_below_the_ordinary_still_makes_a_scale() -> None:
    scale = LevelScale(ordinary=0.9, alarm=0.2, relative_to="normal footage")
    assert [scale.level(score).value for score in (0.01, 0.2, 0.99)] == [0, 5, 10]


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (0.0061, "22 s"),
        (0.25, "15 min"),
        (0.999, "60 min"),
        (1.0, "1 h"),
        (9.24, "9.2 h"),
        (123.4, "120 h"),
        (500.0, "21 days"),
        (0.0, "0 s"),
    ],
)
def test_hours_in_words(hours: float, words: str) -> None:
    assert hours_in_words(hours) == words


def test_a_level_comes_back_from_json() -> None:
    assert SCALE is not None
    for level in (SCALE.level(0.9999), own_scale(np.array([0.1, 0.9])).level(0.9)):
        values = level.as_json()
        assert values["words"] == level.words
        assert AlarmLevel.from_json(values) == level


def test_below_a_threshold_that_log_odds_do_not_reach_is_no_alarm() -> None:
    high = 1 - 1e-10
    scale = LevelScale(ordinary=0.1, alarm=high, threshold=high, relative_to="normal footage")
    assert scale.level(1 - 1e-9).value < 5 <= scale.level(high).value


def test_what_is_ordinary_is_level_0_however_near_to_1_it_lies() -> None:
    """Log odds are taken of scores held off both ends: what lies beyond is all the same to them."""
    for score in (0.0, 1e-12, 0.5, 1 - 1e-9, 1.0):
        assert own_scale(np.full(10, score)).level(score).value == 0
    sure = LevelScale(ordinary=1 - 1e-10, alarm=1 - 1e-12, threshold=1 - 1e-12, relative_to="normal footage")
    assert [sure.level(score).value for score in (1 - 1e-10, 1 - 1e-11, 1 - 1e-12)] == [0, 4, 5]


def test_events_without_a_peak_count_where_all_peaks_do() -> None:
    """Of 2304 events in 96 hours the 3 highest are known: every 2.5 minutes there was one at the threshold."""
    scale = dataclasses.replace(LEVELS, threshold=0.9, peaks=(0.95, 0.97, 0.99), events=2304, hours=96.0)
    assert scale.level(0.9).once_in_hours == pytest.approx(96 / 2304)
    assert scale.level(0.95).once_in_hours == pytest.approx(96 / 2304)
    assert scale.level(0.96).once_in_hours == 96 / 2


LEVELS = LevelScale(ordinary=0.1, alarm=0.9, relative_to="normal footage")


def test_what_keeps_an_event_going_does_not_say_what_is_ordinary() -> None:
    scores = np.array([0.1, 0.12, 0.09, 0.11, *[0.95] * 8])
    assert own_scale(scores).level(0.95).value == 0
    assert own_scale(scores, 0.5).level(0.95).words == "very unusual for this video, level 10 of 10"
    assert own_scale(scores, 0.05) == own_scale(scores), "nothing else is there"
