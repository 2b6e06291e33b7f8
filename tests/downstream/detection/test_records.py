"""Records end where the frames do, and know which box is the peak's."""

from __future__ import annotations

from downstream.detection.records import BoxRecord, EventRecord, event_record
from downstream.events.finder import DetectedEvent
from downstream.scores.cell_geometry import PixelBox


def box(start: int, x1: float, score: float) -> BoxRecord:
    return BoxRecord(start_frame=start, end_frame=start + 16, box=PixelBox(x1, 0, 50, 60), score=score)


def test_a_snippet_may_reach_past_the_frames_and_an_event_does_not() -> None:
    event = DetectedEvent(3, 16, 48, 0.9, 32, 48)
    assert event_record(event, 10.0, 40, None) == EventRecord(
        number=3, start_frame=16, end_frame=40, start_seconds=1.6, end_seconds=4.0, peak_seconds=4.0, peak_score=0.9,
        peak_start_frame=32, peak_end_frame=40,
    )  # fmt: skip
    assert event_record(event, 10.0, 100, None).as_json() == event.as_json(10.0)


def test_the_peaks_box_is_the_first_of_its_snippet() -> None:
    boxes = (box(16, 1, 0.95), box(32, 2, 0.9), box(32, 1 / 3, 0.8))
    record = event_record(DetectedEvent(1, 16, 48, 0.9, 32, 48), 10.0, 48, boxes)
    assert record.peak_box == boxes[1]
    assert boxes[2].corners == [0.33, 0.0, 50.0, 60.0]
    assert event_record(DetectedEvent(1, 16, 48, 0.9, 32, 48), 10.0, 48, ()).peak_box is None
