"""Found anomalies and false alarms at every threshold, against finding events anew at each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from downstream.events.alarm_sweep import AlarmSweep, sweep_thresholds
from downstream.events.finder import find_events
from downstream.events.matching import count_touches
from downstream.events.rule import rule_with_margin
from pretrain.data.catalogue import merge_spans
from pretrain.data.video import Clock
from tests.downstream.events.clocks import CLOCKS, seconds_of

SNIPPET = 10


class Annotated(NamedTuple):
    scores: NDArray[np.float64]
    edges: NDArray[np.int64]
    spans: tuple[tuple[int, int], ...]


Videos = list[tuple[Annotated, Clock | float]]
LEVELS = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.6, 0.7, 0.9, 0.97, 1.0])
SPANS = st.lists(st.tuples(st.integers(0, 240), st.integers(1, 40)), max_size=3)
VIDEOS = st.lists(
    st.tuples(st.lists(LEVELS, min_size=1, max_size=25), SPANS, CLOCKS),
    min_size=1,
    max_size=4,
)
RULES = st.fixed_dictionaries(
    {
        "margin": st.sampled_from([0.0, 0.7, 2.5]),
        "min_seconds": st.sampled_from([0.0, 0.9, 2.5]),
        "merge_seconds": st.sampled_from([0.0, 0.9, 2.5]),
    }
)
PLAIN = {"margin": 0.0, "min_seconds": 0.0, "merge_seconds": 0.0}


def made(drawn: Sequence[tuple[list[float], list[tuple[int, int]], Clock | float]]) -> Videos:
    """`drawn`: scores, anomalies as begin and length, frames per second."""
    videos = []
    for levels, spans, fps in drawn:
        frames = len(levels) * SNIPPET
        inside = merge_spans((start, min(start + length, frames)) for start, length in spans if start < frames)
        videos.append((Annotated(np.array(levels), np.arange(len(levels) + 1) * SNIPPET, inside), fps))
    return videos


def counted(videos: Videos, threshold: float, settings: dict[str, float]) -> tuple[int, int]:
    """Found anomalies and false alarms by the definition."""
    rule, found, false = rule_with_margin(threshold, **settings), 0, 0
    for video, fps in videos:
        events = [(event.start, event.end) for event in find_events(video, rule, fps)]
        own = count_touches(events, video.spans)
        found, false = found + own[0], false + own[1]
    return found, false


def scores_of(videos: Videos) -> list[float]:
    return sorted({float(score) for video, _ in videos for score in video.scores}, reverse=True)


def slow_found(videos: Videos, allowed: float, settings: dict[str, float]) -> int:
    """From the highest score down, until there are too many false alarms."""
    best = 0
    for threshold in scores_of(videos):
        found, false = counted(videos, threshold, settings)
        if false > allowed:
            break
        best = found
    return best


def anomalies(videos: Videos) -> int:
    return sum(len(video.spans) for video, _ in videos)


@settings(deadline=None)
@given(VIDEOS, RULES)
def test_at_every_score_it_counts_what_the_rule_for_events_gives(drawn: list, settings: dict[str, float]) -> None:
    videos = made(drawn)
    sweep = sweep_thresholds(videos, **settings)
    before = 0
    for threshold in scores_of(videos):
        found, false = counted(videos, threshold, settings)
        assert (sweep.found_from >= threshold).sum() == found >= before
        before = found
        if (sweep.found_from > threshold).sum() < anomalies(videos):  # it ends where all are found
            assert sweep.changes[sweep.thresholds >= threshold].sum() == false
    assert len(sweep.found_from) == len(sweep.found_in) == anomalies(videos)


@settings(deadline=None)
@given(VIDEOS, RULES, st.integers(0, 10_000))
def test_shares_of_drawn_videos_are_those_of_a_list_in_which_they_stand_so_often(
    drawn: list, settings: dict[str, float], seed: int
) -> None:
    videos = made(drawn)
    sweep = sweep_thresholds(videos, **settings)
    weights = np.random.default_rng(seed).integers(0, 3, (3, len(videos)))
    weights[0] = 1
    rates = np.array([0.0, 40.0, 100.0, 400.0, 1e6])
    shares = sweep.found_shares(weights.astype(float), rates)
    for row, counts in zip(shares, weights, strict=True):
        listed = [video for video, count in zip(videos, counts, strict=True) for _ in range(count)]
        if not anomalies(listed):
            assert np.isnan(row).all()
            continue
        hours = sum(seconds_of(int(video.edges[-1]), fps) for video, fps in listed) / 3600
        wanted = [slow_found(listed, rate * hours + 1e-6, settings) / anomalies(listed) for rate in rates]
        assert row.tolist() == pytest.approx(wanted)
        assert (np.diff(row) >= 0).all(), "more false alarms find less"


@settings(deadline=None)
@given(VIDEOS, RULES, st.integers(0, 5))
def test_the_threshold_named_finds_as_much_with_no_more_false_alarms(
    drawn: list, settings: dict[str, float], allowed: int
) -> None:
    videos = made(drawn)
    threshold = sweep_thresholds(videos, **settings).highest_threshold(allowed)
    found, false = counted(videos, threshold, settings)
    assert found == slow_found(videos, allowed, settings)
    assert false <= allowed
    assert all(counted(videos, score, settings)[0] < found for score in scores_of(videos) if score > threshold)
    if not found:
        assert threshold == np.nextafter(scores_of(videos)[0], np.inf)


def test_one_long_event_that_finds_everything_is_not_had_for_few_false_alarms() -> None:
    """At .1 both videos are one event each, one of them false; at .3 there were three false alarms."""
    normal, abnormal = [0.3, 0.1, 0.3, 0.1, 0.3], [0.1, 0.1, 0.1, 0.1, 0.2]
    videos = made([(normal, [], 10.0), (abnormal, [(0, 10)], 10.0)])
    assert [counted(videos, threshold, PLAIN) for threshold in (0.3, 0.1)] == [(0, 3), (1, 1)]
    sweep = sweep_thresholds(videos, **PLAIN)
    hours = sweep.hours.sum()
    shares = sweep.found_shares(np.ones((1, 2)), np.array([1, 2, 3, 4]) / hours)
    # at .2 the end of the abnormal video is the fourth
    assert shares.tolist() == [[0.0, 0.0, 0.0, 1.0]]
    assert sweep.most_false_alarms().tolist() == [3, 4, 4]


def test_it_ends_where_everything_is_found() -> None:
    videos = made([([0.9, 0.1, 0.5, 0.1, 0.4], [(0, 10)], 10.0)])
    sweep: AlarmSweep = sweep_thresholds(videos, **PLAIN)
    assert (sweep.found_from.tolist(), sweep.thresholds.tolist()) == ([0.9], [])
    assert sweep.found_shares(np.ones((1, 1)), np.array([0.0])).tolist() == [[1.0]]
