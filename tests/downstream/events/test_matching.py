from __future__ import annotations

from downstream.events.matching import count_matches, count_touches, overlap


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


def test_an_event_touches_an_anomaly_in_one_frame_and_may_touch_several() -> None:
    annotated = [(0, 10), (20, 30), (40, 50)]
    assert count_touches([(9, 21), (30, 40), (60, 70)], annotated) == (2, 2)
    assert count_touches([], annotated) == (0, 0)
    assert count_touches([(0, 5), (5, 10)], annotated[:1]) == (1, 0)
