from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from downstream.events.matching import count_matches, find_events, overlap

EDGES = np.array([0, 10, 20, 30, 40, 45])


def test_runs_merging_and_minimal_length() -> None:
    scores = np.array([0.9, 0.1, 0.5, 0.7, 0.2])
    assert find_events(scores, EDGES, 0.5) == [(0, 10, 0.9), (20, 40, 0.7)]
    assert find_events(scores, EDGES, 0.5, merge_gap_frames=9) == find_events(scores, EDGES, 0.5)
    assert find_events(scores, EDGES, 0.5, merge_gap_frames=10) == [(0, 40, 0.9)]
    assert find_events(scores, EDGES, 0.5, min_frames=11) == [(20, 40, 0.7)]
    assert find_events(scores, EDGES, 0.95) == []
    assert find_events(scores, EDGES, 0.0) == [(0, 45, 0.9)]


@given(st.lists(st.booleans(), min_size=5, max_size=5))
def test_events_hold_exactly_the_frames_over_the_threshold(over: list[bool]) -> None:
    found = np.zeros(45, bool)
    for start, end, _ in find_events(np.array(over, float), EDGES, 0.5):
        assert not found[max(0, start - 1) : end].any()  # disjoint, and never touching
        found[start:end] = True
    assert found.tolist() == np.repeat(over, np.diff(EDGES)).tolist()


def test_overlap_by_hand() -> None:
    assert overlap((0, 10), (5, 20)) == 5 / 20
    assert overlap((0, 10), (10, 20)) == 0
    assert overlap((3, 4), (3, 4)) == 1


def test_matching_is_one_to_one() -> None:
    assert count_matches([(0, 10), (0, 10)], [(0, 10)], 0.5) == 1
    assert count_matches([(0, 100)], [(0, 50), (50, 100)], 0.5) == 1
    assert count_matches([(0, 10), (20, 30)], [(0, 10), (21, 30)], 0.9) == 2
    assert count_matches([(0, 10), (20, 30)], [(0, 10), (21, 30)], 0.95) == 1
    assert count_matches([], [(0, 10)], 0.1) == count_matches([(0, 1)], [(5, 6)], 0.1) == 0
