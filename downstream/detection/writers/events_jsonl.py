"""events.jsonl: a JSON object a line when an event of a stream begins and when it ends; `kind` says which.

    {"kind": "ended", "number": 1, "start_frame": 288, "end_frame": 352, "start_seconds": 9.6, "end_seconds": 11.733,
     "peak_seconds": 9.867, "peak_score": 0.9993, "peak_start_frame": 288, "peak_end_frame": 304,
     "box": [106.67, 77.84, 213.33, 181.62], "wall_clock": "2026-11-21T12:13:50.708+00:00", "stream": "rtsp://host/~3fa2b1",
     "snapshot": "alarms/20261121T121348.575_door_0001.jpg", "clip": "alarms/20261121T121348.575_door_0001.mp4"}

The same object goes to the webhook and, with --json, to stdout.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from downstream.detection.records import BoxRecord, EventRecord
from downstream.detection.writers.writer import Writer
from downstream.events.alarm_level import HIGHEST, AlarmLevel
from downstream.scores.cell_geometry import PixelBox
from pretrain.errors import UserError
from pretrain.files import json_text
from pretrain.json_shapes import check, fixed, flag, number, one_of, optional, record, sequence, text, whole
from pretrain.reading import Unreadable, open_regular
from pretrain.versioned_json import parse_json

logger = logging.getLogger(__name__)

LINE_BYTES = 1 << 16
"""Longest line of the journal."""


class EventsJsonl(Writer):
    """A journal: what is told elsewhere can be found there already."""

    written = "live"

    def event(self, event: EventRecord) -> None:
        self.sink.write(json_text(event_line(event)) + "\n")


def event_line(event: EventRecord) -> dict[str, Any]:
    """An event of a stream as one object, with the box of its highest snippet so far."""
    values = {"kind": event.kind} | event.as_json()
    values |= {"peak_start_frame": event.peak_start_frame, "peak_end_frame": event.peak_end_frame}
    if event.peak_box is not None:
        values["box"] = event.peak_box.corners
    if event.is_cut_short:
        values["cut_short"] = True
    values |= {"wall_clock": event.wall_clock, "stream": event.stream}
    files = {"snapshot": event.snapshot, "clip": event.clip}
    return values | {name: path for name, path in files.items() if path is not None}


def read_ended(path: Path) -> Iterator[EventRecord]:
    """The events that have ended, from the file: over days nobody need keep them in memory.

    A line that is not one that `event` wrote (cut off by a kill, damaged) is left out, which is logged: the other
    events of days must not be lost for it. UserError where the journal is no file that can be read.
    """
    try:
        journal = open_regular(path)
    except Unreadable as error:
        raise UserError(f"{path}: the events so far cannot be read ({error}); put the journal back there") from error
    with journal as lines:
        for count, line in enumerate(iter(lambda: lines.readline(LINE_BYTES), b""), 1):
            try:
                values = parse_json(line)
                check(values, _LINE)
                event = _event(values) if values["kind"] == "ended" else None
            except (ValueError, TypeError) as error:
                logger.warning("line %d of %s is damaged and left out: %s", count, path, error)
                continue
            if event is not None:
                yield event


_FRAME, _SECONDS = whole(0, 1 << 50), number(0)
_LINE = record(
    {
        "kind": one_of("begun", "ended"),
        "number": whole(0),
        **dict.fromkeys(("start_frame", "end_frame", "peak_start_frame", "peak_end_frame"), _FRAME),
        **dict.fromkeys(("start_seconds", "end_seconds", "peak_seconds"), _SECONDS),
        "peak_score": number(),
    },
    {
        "level": record(
            {
                "value": whole(0, HIGHEST),
                "word": one_of("ordinary", "unusual", "very unusual", "alarm"),
                "relative_to": one_of("normal footage", "this video", "this stream"),
                "once_in_hours": optional(number(0)),
                "at_least": flag,
                "words": text,
            }
        ),
        "zones": sequence(text),
        "box": fixed(*[number()] * 4),
        "cut_short": flag,
        "wall_clock": optional(text),
        "stream": optional(text),
        "snapshot": text,
        "clip": text,
    },
)


def _event(values: dict[str, Any]) -> EventRecord:
    """From `event_line`."""
    box, is_cut_short = values.pop("box", None), values.pop("cut_short", False)
    level, zones = values.pop("level", None), values.pop("zones", None)
    boxes = None
    if box is not None:
        peak = {"start_frame": values["peak_start_frame"], "end_frame": values["peak_end_frame"]}
        boxes = (BoxRecord(**peak, box=PixelBox(*box), score=values["peak_score"]),)
    of_peak = None if level is None else AlarmLevel.from_json(level)
    in_zones = None if zones is None else tuple(zones)
    return EventRecord(**values, level=of_peak, zones=in_zones, boxes=boxes, is_cut_short=is_cut_short)
