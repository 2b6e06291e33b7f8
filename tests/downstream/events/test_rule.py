"""Events by rule: against the slow reading of the definition, and the same whether they come one by one or at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstream.events.matching import find_events as runs_over
from downstream.events.rule import AlarmRule, EventFinder, find_events, rule_with_margin
from downstream.scores.score_file import VideoScores, make_scores
from pretrain.errors import UserError

LEVELS = st.lists(st.sampled_from([0.1, 0.4, 0.6, 0.9]), min_size=1, max_size=40)
RULE = AlarmRule(threshold=0.6, release=0.4)


def video(levels: list[float], length: int = 10) -> VideoScores:
    return make_scores("v", levels, np.arange(len(levels) + 1) * length)


def spans(levels: list[float], rule: AlarmRule, fps: float = 10) -> list[tuple[int, int]]:
    return [(event.start // 10, event.end // 10) for event in find_events(video(levels), rule, fps)]


def test_an_event_begins_at_the_threshold_and_ends_below_the_release() -> None:
    assert spans([0.4, 0.6, 0.4, 0.4, 0.1, 0.4, 0.9], RULE) == [(1, 4), (6, 7)]


def test_short_events_are_left_out_and_near_ones_are_one() -> None:
    rule = AlarmRule(threshold=0.6, release=0.6, min_seconds=2, merge_seconds=1)
    assert spans([0.9, 0.1, 0.1, 0.9, 0.1, 0.9, 0.1], rule) == [(3, 6)]
    assert spans([0.9, 0.9, 0.1, 0.1], rule) == [(0, 2)]


def test_the_peak_is_the_first_of_the_highest_snippets() -> None:
    (event,) = find_events(video([0.6, 0.9, 0.9, 0.6]), RULE, 10)
    assert (event.number, event.peak_score, event.peak_start, event.peak_end) == (1, 0.9, 10, 20)
    assert event.seconds(10) == {"start_seconds": 0.0, "end_seconds": 4.0, "peak_seconds": 1.5}


@given(LEVELS, st.integers(0, 3), st.integers(0, 3))
def test_without_hysteresis_events_are_the_runs_over_the_threshold(levels: list[float], gap: int, least: int) -> None:
    rule = AlarmRule(threshold=0.6, release=0.6, min_seconds=least, merge_seconds=gap)
    scores = video(levels)
    expected = runs_over(scores.scores, scores.edges, 0.6, gap * 10, least * 10)
    assert [(e.start, e.end, e.peak_score) for e in find_events(scores, rule, 10)] == [tuple(e) for e in expected]


@given(LEVELS)
def test_with_hysteresis_events_are_the_runs_over_the_release_from_their_first_high_snippet(
    levels: list[float],
) -> None:
    expected = []
    scores = video(levels)
    for run in runs_over(scores.scores, scores.edges, 0.4):
        high = [n for n in range(run.start // 10, run.end // 10) if levels[n] >= 0.6]
        expected += [(high[0], run.end // 10)] if high else []
    assert spans(levels, RULE) == expected


@given(LEVELS, st.integers(0, 3))
def test_what_has_begun_is_said_once_and_ends_once(levels: list[float], least: int) -> None:
    rule = AlarmRule(threshold=0.6, release=0.4, min_seconds=least, merge_seconds=1)
    finder, changes = EventFinder(rule, 10), []
    for number, score in enumerate(levels):
        changes += finder.push(10 * number, 10 * number + 10, score)
        assert finder.is_open == (sum(c.kind == "begun" for c in changes) > sum(c.kind == "ended" for c in changes))
    changes += finder.close()
    kinds = [(change.kind, change.event.number) for change in changes]
    count = len(kinds) // 2
    assert kinds == [(kind, number) for number in range(1, count + 1) for kind in ("begun", "ended")]


def test_the_release_is_below_the_threshold_in_odds() -> None:
    rule = rule_with_margin(0.9, float(np.log(9)), 0, 0)
    assert rule.release == pytest.approx(0.5)
    assert rule_with_margin(0.9, 0, 0, 0).release == 0.9
    assert rule_with_margin(1.5, 1, 0, 0).release == 1.5


def test_rules_that_cannot_be_are_refused_all_at_once() -> None:
    with pytest.raises(UserError) as caught:
        AlarmRule(threshold=0.5, release=0.6, min_seconds=-1, merge_seconds=float("inf"))
    text = str(caught.value)
    assert "release is 0.6, above threshold 0.5" in text
    assert "min_seconds is -1" in text
    assert "merge_seconds is inf" in text
