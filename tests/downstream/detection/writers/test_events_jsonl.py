"""events.jsonl: an object a line, from which the events of a stream come back as they were."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from downstream.detection.records import BoxRecord, EventRecord
from downstream.detection.writers.events_jsonl import EventsJsonl, event_line, read_ended
from downstream.events.alarm_level import AlarmLevel
from downstream.scores.cell_geometry import PixelBox
from pretrain.errors import UserError
from tests.downstream.detection.made import stream_event

BOX = BoxRecord(start_frame=16, end_frame=32, box=PixelBox(1.5, 2.25, 30, 40), score=0.9)

LEVEL = AlarmLevel(value=6, word="alarm", relative_to="normal footage", once_in_hours=3.0, is_at_least=True)


def test_a_line_says_all_that_is_known_of_the_event() -> None:
    assert list(event_line(stream_event(boxes=(BOX,), is_cut_short=True)).items()) == [
        ("kind", "ended"), ("number", 1), ("start_frame", 16), ("end_frame", 40), ("start_seconds", 1.6),
        ("end_seconds", 4.0), ("peak_seconds", 2.4), ("peak_score", 0.9), ("peak_start_frame", 16),
        ("peak_end_frame", 32), ("box", [1.5, 2.25, 30.0, 40.0]), ("cut_short", True),
        ("wall_clock", "2026-01-02T03:04:05.678+00:00"), ("stream", "rtsp://cam/~3fa2b1"),
    ]  # fmt: skip
    assert not {"box", "cut_short", "zones"} & set(event_line(stream_event()))
    assert event_line(stream_event(zones=("yard",)))["zones"] == ["yard"]


@pytest.mark.parametrize(
    "event",
    [
        stream_event(),
        stream_event(boxes=(BOX,), level=LEVEL),
        stream_event(is_cut_short=True, stream="Tür", zones=("yard", "Tür")),
    ],
)
def test_what_has_ended_comes_back(tmp_path: Path, event: EventRecord) -> None:
    text = io.StringIO()
    writer = EventsJsonl(text)
    writer.event(stream_event(kind="begun"))
    writer.event(event)
    assert [json.loads(line)["kind"] for line in text.getvalue().splitlines()] == ["begun", "ended"]
    (tmp_path / "events.jsonl").write_text(text.getvalue(), encoding="utf-8")
    assert list(read_ended(tmp_path / "events.jsonl")) == [event]


def test_a_journal_that_is_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("folder", "loop", "missing"):
        with pytest.raises(UserError, match=f"{name}: the events so far cannot be read"):
            list(read_ended(tmp_path / name))
