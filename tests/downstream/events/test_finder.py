"""Events by rule: against the slow reading of the definition, and the same whether they come one by one or at once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from downstream.events.finder import EventFinder, find_events
from downstream.events.rule import AlarmRule
from downstream.scores.video_scores import VideoScores, make_scores

LEVELS = st.lists(st.sampled_from([0.1, 0.4, 0.6, 0.9]), min_size=1, max_size=40)
RULE = AlarmRule(threshold=0.6, release=0.4)


def video(levels: list[float], length: int = 10) -> VideoScores:
    return make_scores("v", levels, np.arange(len(levels) + 1) * length)


def spans(levels: list[float], rule: AlarmRule, fps: float = 10) -> list[tuple[int, int]]:
    return [(event.start // 10, event.end // 10) for event in find_events(video(levels), rule, fps)]


def runs_over(levels: list[float], level: float, gap: int = 0, least: int = 1) -> list[tuple[int, int]]:
    """Runs of snippets at or over the level, near ones joined, short ones left out: by writing out every snippet."""
    over = [score >= level for score in levels]
    starts = [n for n in range(len(over)) if over[n] and not any(over[max(0, n - gap - 1) : n])]
    ends = [n + 1 for n in range(len(over)) if over[n] and not any(over[n + 1 : n + gap + 2])]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if end - start >= least]


def test_an_event_begins_at_the_threshold_and_ends_below_the_release() -> None:
    assert spans([0.4, 0.6, 0.4, 0.4, 0.1, 0.4, 0.9], RULE) == [(1, 4), (6, 7)]


def test_short_events_are_left_out_and_near_ones_are_one() -> None:
    rule = AlarmRule(threshold=0.6, release=0.6, min_seconds=2, merge_seconds=1)
    assert spans([0.9, 0.1, 0.1, 0.9, 0.1, 0.9, 0.1], rule) == [(3, 6)]
    assert spans([0.9, 0.9, 0.1, 0.1], rule) == [(0, 2)]


def test_snippets_of_any_length_and_gaps_to_the_frame() -> None:
    scores = make_scores("v", [0.9, 0.1, 0.5, 0.7, 0.2], [0, 10, 20, 30, 40, 45])

    def found(threshold: float, **seconds: float) -> list[tuple[int, int, float]]:
        rule = AlarmRule(threshold=threshold, release=threshold, **seconds)
        return [(event.start, event.end, event.peak_score) for event in find_events(scores, rule, fps=1)]

    assert found(0.5) == found(0.5, merge_seconds=9) == [(0, 10, 0.9), (20, 40, 0.7)]
    assert found(0.5, merge_seconds=10) == [(0, 40, 0.9)]
    assert found(0.5, min_seconds=11) == [(20, 40, 0.7)]
    assert found(0.95) == []
    assert found(0.0) == [(0, 45, 0.9)]


def test_the_peak_is_the_first_of_the_highest_snippets() -> None:
    (event,) = find_events(video([0.6, 0.9, 0.9, 0.6]), RULE, 10)
    assert (event.number, event.peak_score, event.peak_start, event.peak_end) == (1, 0.9, 10, 20)
    assert event.seconds(10) == {"start_seconds": 0.0, "end_seconds": 4.0, "peak_seconds": 1.5}


@given(LEVELS, st.integers(0, 3), st.integers(0, 3))
def test_without_hysteresis_events_are_the_runs_over_the_threshold(levels: list[float], gap: int, least: int) -> None:
    rule = AlarmRule(threshold=0.6, release=0.6, min_seconds=least, merge_seconds=gap)
    expected = [(start * 10, end * 10, max(levels[start:end])) for start, end in runs_over(levels, 0.6, gap, least)]
    assert [(event.start, event.end, event.peak_score) for event in find_events(video(levels), rule, 10)] == expected


@given(LEVELS)
def test_with_hysteresis_events_are_the_runs_over_the_release_from_their_first_high_snippet(
    levels: list[float],
) -> None:
    expected = []
    for start, end in runs_over(levels, 0.4):
        high = [n for n in range(start, end) if levels[n] >= 0.6]
        expected += [(high[0], end)] if high else []
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
