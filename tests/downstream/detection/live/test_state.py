"""How a stream's events and moments are said."""

from __future__ import annotations

from downstream.detection.live.state import describe_event, moment
from downstream.detection.records import BoxRecord
from downstream.events.alarm_level import AlarmLevel
from downstream.scores.cell_geometry import PixelBox
from tests.downstream.detection.made import stream_event


def test_an_event_is_a_line_when_it_begins_and_when_it_ends() -> None:
    box = BoxRecord(start_frame=16, end_frame=32, box=PixelBox(1.2, 2, 30, 40), score=0.9)
    assert describe_event(stream_event(kind="begun")) == "event 1 began at 0:00:01.6: score 0.90"
    level = AlarmLevel(value=6, word="alarm", relative_to="normal footage", once_in_hours=3.0)
    assert describe_event(stream_event(kind="begun", level=level)) == (
        "event 1 began at 0:00:01.6: alarm, level 6 of 10: once in 3 h of normal footage (score 0.90)"
    )
    assert describe_event(stream_event(boxes=(box,), is_cut_short=True)) == (
        "event 1 over (cut short): 0:00:01.6 to 0:00:04.0, highest at 0:00:02.4: score 0.90, box 1,2 to 30,40"
    )


def test_moments_in_words() -> None:
    assert [moment(seconds) for seconds in (0, 59.96, 3599.94, 90061.2)] == [
        "0:00:00.0",
        "0:01:00.0",
        "0:59:59.9",
        "25:01:01.2",
    ]
