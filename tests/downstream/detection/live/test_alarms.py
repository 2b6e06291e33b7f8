"""Alarms are the events of the offline rule, each with the box of its highest snippet."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.detection.live.alarms import Alarm, Alarms
from downstream.detection.live.scorer import LiveScore
from downstream.detection.records import BoxRecord, EventRecord
from downstream.events.boxes import find_boxes
from downstream.events.finder import find_events
from downstream.events.rule import AlarmRule
from downstream.scores.cell_geometry import PixelBox
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores

FPS, LENGTH = 10.0, 16


def live(maps: np.ndarray) -> list[LiveScore]:
    scores = maps.max(axis=(1, 2)).tolist()
    return [
        LiveScore(LENGTH * n, LENGTH * n + LENGTH, score, one(maps[n]), 0.0, True) for n, score in enumerate(scores)
    ]


def one(cells: np.ndarray) -> ScoreMap:
    return ScoreMap(cells[None], (64, 48), (0.0, 0.0, 64.0, 48.0))


@settings(deadline=None)
@given(st.integers(0, 9999), st.integers(1, 40), st.floats(0, 8), st.floats(0, 8), st.floats(0, 0.3))
def test_they_are_the_events_of_a_file_and_boxes_those_of_its_peaks(
    seed: int, count: int, min_seconds: float, merge_seconds: float, below: float
) -> None:
    maps = np.random.default_rng(seed).random((count, 2, 3)) ** 3
    rule = AlarmRule(threshold=0.7, release=0.7 - below, min_seconds=min_seconds, merge_seconds=merge_seconds)
    alarms = Alarms(rule, FPS)
    told = [alarm for score in live(maps) for alarm in alarms.take(score)] + alarms.close()
    ended = [alarm for alarm in told if alarm.kind == "ended"]
    expected = find_events(VideoScores("v", maps.max(axis=(1, 2)), np.arange(count + 1) * LENGTH), rule, FPS)
    assert [alarm.event for alarm in ended] == expected
    assert [alarm.event.number for alarm in told if alarm.kind == "begun"] == [event.number for event in expected]
    assert alarms.begun == len(expected)
    for alarm in told:
        peak = one(maps[alarm.event.peak_start // LENGTH])
        assert alarm.box == find_boxes(peak, rule.release)[0][0].box


def test_what_is_remembered_does_not_grow() -> None:
    alarms = Alarms(AlarmRule(threshold=0.5, release=0.5, min_seconds=2, merge_seconds=3), FPS)
    for score in live(np.full((500, 1, 1), 0.9)):
        alarms.take(score)
    assert alarms.is_on
    assert len(alarms._recent) <= 50 / LENGTH + 1


def test_the_record_of_an_event_ends_where_the_frames_do() -> None:
    alarms = Alarms(AlarmRule(threshold=0.5, release=0.5), FPS)
    (begun,) = alarms.take(live(np.full((1, 2, 2), 0.9))[0])
    (ended,) = alarms.close(is_cut_short=True)
    box = BoxRecord(start_frame=0, end_frame=16, box=PixelBox(0.0, 0.0, 64.0, 48.0), score=0.9)
    assert begun.record(FPS, 100) == EventRecord(
        kind="begun", number=1, start_frame=0, end_frame=16, start_seconds=0.0, end_seconds=1.6, peak_seconds=0.8,
        peak_score=0.9, peak_start_frame=0, peak_end_frame=16, boxes=(box,),
    )  # fmt: skip
    last = ended.record(FPS, 10)
    assert (last.end_frame, last.end_seconds, last.peak_end_frame) == (10, 1.0, 10)
    assert last.is_cut_short
    assert last.peak_box is not None
    assert last.peak_box.end_frame == 10
    assert Alarm("begun", begun.event, None, False).record(FPS, 10).boxes is None
