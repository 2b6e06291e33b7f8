"""Calibration: against the slow reading of the definition, on footage left out, in its file, and in its words."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.events.calibration import allowed_events, calibrate
from downstream.events.calibration_file import read_calibration, write_calibration
from downstream.events.finder import find_events
from downstream.events.rate_bound import upper_count, upper_rate
from downstream.events.rule import rule_with_margin
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.data.video import Clock
from pretrain.errors import UserError
from tests.downstream.events.clocks import CLOCKS, seconds_of

Videos = list[tuple[VideoScores, Clock | float]]
LEVELS = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.6, 0.7, 0.9, 0.97, 1.0])
VIDEOS = st.lists(st.tuples(st.lists(LEVELS, min_size=1, max_size=25), CLOCKS), min_size=1, max_size=4)
SETTINGS = {"margin": 0.0, "min_seconds": 0.0, "merge_seconds": 0.0}


def made(drawn: list[tuple[list[float], Clock | float]], length: int = 10) -> Videos:
    return [
        (make_scores(f"v{number}", levels, np.arange(len(levels) + 1) * length), fps)
        for number, (levels, fps) in enumerate(drawn)
    ]


def hours_of(videos: Videos) -> float:
    return sum(seconds_of(scores.covered_frames, fps) for scores, fps in videos) / 3600


def events_at(videos: Videos, threshold: float, settings: dict[str, float]) -> int:
    rule = rule_with_margin(threshold, **settings)
    return sum(len(find_events(scores, rule, fps)) for scores, fps in videos)


def slow_threshold(videos: Videos, allowed: int, settings: dict[str, float]) -> float:
    """Every score, and the thresholds just beside each at which the release passes a score; from the top down."""
    scores = set(np.concatenate([scores.scores for scores, _ in videos]).tolist())
    tried = set(scores)
    for score in scores - {0.0, 1.0}:
        odds = score / (1 - score) * math.exp(settings["margin"])
        tried |= {odds / (1 + odds) + step for step in (-1e-9, 1e-9)}
    best = float(np.nextafter(max(scores), np.inf))
    for threshold in sorted(tried, reverse=True):
        if events_at(videos, threshold, settings) > allowed:
            break
        best = threshold if threshold in scores else best
    return best


@settings(deadline=None)
@given(VIDEOS, st.integers(0, 4), st.sampled_from([0.0, 0.7, 2.5]), st.integers(0, 3), st.integers(0, 3))
def test_it_is_the_lowest_score_from_which_on_no_threshold_has_too_many_events(
    drawn: list[tuple[list[float], Clock | float]], allowed: int, margin: float, least: int, gap: int
) -> None:
    videos = made(drawn)
    settings = {"margin": margin, "min_seconds": least * 0.9, "merge_seconds": gap * 0.9}
    found = calibrate(videos, (allowed + 0.5) / hours_of(videos), **settings)
    assert found.rule.threshold == slow_threshold(videos, allowed, settings)
    assert found.rule == rule_with_margin(found.rule.threshold, **settings)
    assert found.events == events_at(videos, found.rule.threshold, settings) <= allowed


@settings(deadline=None)
@given(VIDEOS, st.integers(0, 3), st.sampled_from([0.0, 0.7]), st.integers(0, 2))
def test_what_is_left_out_is_judged_by_what_calibrating_the_others_gives(
    drawn: list[tuple[list[float], Clock | float]], allowed: int, margin: float, gap: int
) -> None:
    videos = made(drawn)
    settings = {"margin": margin, "min_seconds": 0.0, "merge_seconds": gap * 0.9}
    per_hour = (allowed + 0.5) / hours_of(videos)
    left_out = calibrate(videos, per_hour, **settings).left_out
    if len(videos) == 1:
        assert left_out is None
        return
    thresholds, events = [], 0
    for number, video in enumerate(videos):
        others = videos[:number] + videos[number + 1 :]
        thresholds.append(slow_threshold(others, allowed_events(per_hour, hours_of(others)), settings))
        events += events_at([video], thresholds[-1], settings)
    assert left_out is not None
    assert (left_out.folds, left_out.events) == (len(videos), events)
    assert (left_out.lowest_threshold, left_out.highest_threshold) == (min(thresholds), max(thresholds))


def test_a_lower_threshold_with_few_events_is_not_taken_where_one_between_has_many() -> None:
    """At 0.5 everything is one event; at 0.6 there are three."""
    videos = made([([0.9, 0.5, 0.6, 0.5, 0.6, 0.5], 10.0)])
    assert events_at(videos, 0.5, SETTINGS) == 1
    assert calibrate(videos, 1.5 / hours_of(videos), **SETTINGS).rule.threshold == 0.9


def test_many_snippets_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ties across the pieces in which scores are read; rounded scores of a slow walk."""
    monkeypatch.setattr("downstream.events.false_alarms._PIECE", 7)
    walks = np.random.default_rng(0).normal(size=(3, 400)).cumsum(axis=1) / 8
    videos = made([((1 / (1 + np.exp(-walk))).round(2).tolist(), 10.0) for walk in walks])
    settings = {"margin": 0.5, "min_seconds": 2.0, "merge_seconds": 3.0}
    for allowed in (0, 1, 3, 8):
        found = calibrate(videos, (allowed + 0.5) / hours_of(videos), **settings)
        assert found.rule.threshold == slow_threshold(videos, allowed, settings)


def test_each_video_is_judged_by_a_threshold_of_the_others() -> None:
    videos = made([([0.2, 0.7, 0.2], 10.0), ([0.3, 0.8, 0.3], 10.0), ([0.9, 0.1, 0.9], 10.0)])
    per_hour = 1.0 / hours_of(videos)  # one event in all three; none in two of them, a fraction is none
    left_out = calibrate(videos, per_hour, **SETTINGS).left_out
    assert left_out is not None
    # above 0.9 without either of the first two, above 0.8 without the third, which then alarms twice
    assert (left_out.folds, left_out.events) == (3, 2)
    assert left_out.lowest_threshold == np.nextafter(0.8, 1)
    assert left_out.highest_threshold == np.nextafter(0.9, 1)
    assert left_out.per_hour == pytest.approx(2 / hours_of(videos))


def test_groups_are_left_out_whole_and_a_single_one_never() -> None:
    videos = made([([0.2, 0.7, 0.2], 10.0), ([0.3, 0.8, 0.3], 10.0), ([0.9, 0.1, 0.9], 10.0)])
    left_out = calibrate(videos, 0.5 / hours_of(videos), **SETTINGS, groups=["gate", "yard", "yard"]).left_out
    assert left_out is not None
    assert (left_out.folds, left_out.events) == (2, 3)  # everything over 0.7 in the yard, nothing at the gate
    one = calibrate(videos, 0.5 / hours_of(videos), **SETTINGS, groups=["gate"] * 3)
    assert one.left_out is None
    assert any("a single video or group" in note for note in one.notes)


def test_more_than_twenty_videos_share_turns() -> None:
    videos = made([([0.1, 0.5 + number / 1000, 0.1], 10.0) for number in range(45)])
    left_out = calibrate(videos, 1.5 / hours_of(videos), **SETTINGS).left_out
    assert left_out is not None
    assert left_out.folds == 20


@pytest.mark.parametrize(("events", "expected"), [(0, 2.996), (1, 4.744), (2, 6.296), (5, 10.513), (10, 16.962)])
def test_the_bound_is_that_of_the_tables(events: int, expected: float) -> None:
    assert upper_count(events) == pytest.approx(expected, abs=6e-4)
    assert upper_rate(events, 4.0) == pytest.approx(expected / 4, abs=2e-4)


@pytest.mark.parametrize("events", [0, 3, 40, 5000])
def test_at_the_bound_so_few_events_have_the_chance_asked_for(events: int) -> None:
    mean = upper_count(events, 0.9)
    chances = [math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(events + 1)]
    assert math.fsum(chances) == pytest.approx(0.1, abs=1e-9)


def test_too_few_hours_are_said_with_what_they_show() -> None:
    videos = made([([0.2, 0.7, 0.2], 10.0)], length=36_000)  # an hour each
    found = calibrate(videos, 0.01, **SETTINGS)
    assert found.rule.threshold == np.nextafter(0.7, 1)
    (note,) = (note for note in found.notes if "hours of footage" in note)
    assert "3 hours of footage cannot show 0.01 false alarms an hour: that takes at least 100 hours" in note
    assert "fewer than 0.999 an hour" in note


def test_a_threshold_that_no_score_reaches_is_said() -> None:
    videos = made([([0.2, 1.0, 0.1, 0.2], 10.0)])
    none, one, two = (calibrate(videos, n / hours_of(videos), **SETTINGS) for n in (0.5, 1.5, 2.5))
    assert (one.rule.threshold, two.rule.threshold) == (1.0, 0.1)
    assert any("1.0000000000000002 and scores lie in [0, 1]: no score reaches it" in note for note in none.notes)
    assert any("only a score of exactly 1 reaches it" in note for note in one.notes)
    assert not any("reaches it" in note for note in two.notes)


def test_long_events_are_said() -> None:
    videos = made([([0.7, 0.7, 0.7, 0.2, 0.1, 0.2], 10.0)])
    found = calibrate(videos, 1.5 / hours_of(videos), **SETTINGS)
    assert any("Events take 50 % of this normal footage" in note for note in found.notes)
    assert not any("Events take" in note for note in calibrate(videos, 0.5 / hours_of(videos), **SETTINGS).notes)


def test_all_that_is_wrong_is_said_at_once() -> None:
    videos = [(make_scores("gate", [0.1], [0, 10]), 0.0)]
    with pytest.raises(UserError) as caught:
        calibrate(videos, 0.0, margin=-1.0, min_seconds=math.nan, merge_seconds=0.0)
    text = str(caught.value)
    for part in (
        "per_hour is 0.0; it must be",
        "margin is -1.0",
        "min_seconds is nan",
        "'gate': 0.0 frames per second",
    ):
        assert part in text
    with pytest.raises(UserError, match="there is no footage; give videos of the cameras"):
        calibrate([], 1.0, **SETTINGS)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    videos = made([([0.2, 0.7, 0.2], 10.0), ([0.3, 0.8, 0.3], 12.5)])
    for chosen in (videos, videos[:1]):
        found = calibrate(chosen, 500.0, margin=1.0, min_seconds=1, merge_seconds=2, detector={"weights": "abc"})
        write_calibration(tmp_path / "calibration.json", found)
        assert read_calibration(tmp_path / "calibration.json") == found
    content = json.loads((tmp_path / "calibration.json").read_text(encoding="utf-8"))
    assert content["upper_95_per_hour"] == pytest.approx(found.upper_per_hour)


def test_a_file_is_refused_with_all_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    with pytest.raises(UserError, match=r"cannot read the calibration .*calibrate again"):
        read_calibration(file)
    file.write_text("[1]")
    with pytest.raises(UserError, match="has the format 'list', not 'anomaly-pretext/calibration/1'"):
        read_calibration(file)
    videos = made([([0.2, 0.7, 0.2], 10.0), ([0.3, 0.8, 0.3], 12.5)])
    content = calibrate(videos, 500.0, **SETTINGS).as_json()
    content["rule"]["threshold"], content["left_out"]["folds"], content["hours"] = None, 1.5, True
    del content["notes"]
    file.write_text(json.dumps(content))
    with pytest.raises(UserError) as caught:
        read_calibration(file)
    assert "4 problem(s)" in str(caught.value)
    for part in (
        "rule.threshold is None; it must be a number",
        "left_out.folds is 1.5; it must be a whole number",
        "hours is True; it must be a number above 0",
        "notes is None; it must be a list of texts",
    ):
        assert part in str(caught.value)
