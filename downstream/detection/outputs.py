"""What detection leaves on disk: events.json for programs, scores.csv for tables.

    {"format": "anomaly-pretext/events/1", "detector": {...}, "rule": {"threshold": 0.93, ...},
     "videos": [{"name": "street", "path": "street.mp4", "fps": 25.0, "frames": 4500, "seconds": 180.0,
                 "snippets": 281, "highest_score": 0.98, "events": [
        {"number": 1, "start_frame": 320, "end_frame": 448, "start_seconds": 12.8, "end_seconds": 17.92,
         "peak_seconds": 14.4, "peak_score": 0.98, "boxes": [
            {"start_frame": 320, "end_frame": 336, "box": [40, 60, 120, 150], "score": 0.95}]}]}],
     "failed": [{"name": "broken", "path": "broken.mp4", "problem": "..."}]}

Frames are half-open and counted from 0; boxes are x1, y1, x2, y2 in pixels of the video. scores.csv has a line a
snippet, `name,start,end,score`, and is a score file: scripts/evaluate.py reads it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from downstream.detection.model import Model, ScoredFile
from downstream.events.boxes import ScoredBox, find_boxes
from downstream.events.finder import DetectedEvent, find_events
from downstream.events.rule import AlarmRule
from downstream.scores.score_file import CSV_COLUMNS
from downstream.scores.video_scores import VideoScores
from pretrain.data.video import VideoInfo
from pretrain.files import write_json, write_text

FORMAT = "anomaly-pretext/events/1"
EVENTS, SCORES, FRAME_SCORES = "events.json", "scores.csv", "frame_scores.csv"


@dataclass(frozen=True, kw_only=True)
class Found:
    """One video and what was found in it."""

    name: str
    path: str
    scores: VideoScores
    info: VideoInfo
    events: tuple[DetectedEvent, ...]
    boxes: tuple[tuple[ScoredBox, ...], ...]
    """Of each snippet; only within events, empty of detectors of whole pictures."""

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Frames `[start, end)` of each event."""
        return [(event.start, event.end) for event in self.events]


def look_into(scored: ScoredFile, rule: AlarmRule) -> Found:
    """Events of a scored video by the rule, within its frames, and the boxes in them: round cells that alone would keep
    an event going."""
    assert scored.scores is not None
    assert scored.info is not None
    scores, fps = scored.scores, scored.info.fps
    last = scored.info.num_frames  # the last snippet may reach beyond
    events = tuple(replace(event, end=min(event.end, last)) for event in find_events(scores, rule, fps))
    boxes: list[tuple[ScoredBox, ...]] = [()] * len(scores.scores)
    if scores.map is not None:
        found = find_boxes(scores.map, rule.release)
        for event in events:
            first, past = np.searchsorted(scores.edges, (event.start, event.end))
            boxes[first:past] = [tuple(each) for each in found[first:past]]
    return Found(name=scored.name, path=scored.path, scores=scores, info=scored.info, events=events, boxes=tuple(boxes))


def document(model: Model, rule: AlarmRule, found: Sequence[Found], failed: Sequence[ScoredFile]) -> dict[str, Any]:
    """The content of events.json."""
    return {
        "format": FORMAT,
        "detector": {
            "path": str(model.path),
            "sha256": model.names,
            "encoders": [source.encoder.name for source in model.sources],
            "cells": model.grid,
        },
        "rule": rule.as_json(),
        "rule_from": model.rule_from if rule == model.rule else "given on the command line",
        "videos": [_video(each) for each in found],
        "failed": [{"name": each.name, "path": each.path, "problem": each.problem} for each in failed],
    }


def write_outputs(out: Path, content: dict[str, Any], found: Sequence[Found], frames: bool = False) -> None:
    """events.json and scores.csv; with `frames` also a line for every frame."""
    write_text(out / SCORES, score_table(found))
    if frames:
        write_text(out / FRAME_SCORES, frame_table(found))
    else:
        (out / FRAME_SCORES).unlink(missing_ok=True)  # of an earlier call
    write_json(out / EVENTS, content)  # last: whoever waits for it finds all of them


def score_table(found: Sequence[Found]) -> str:
    """A line a snippet; scores keep all their digits."""
    rows = [
        (each.name, start, end, repr(score))
        for each in found
        for start, end, score in zip(
            each.scores.edges[:-1].tolist(), each.scores.edges[1:].tolist(), each.scores.scores.tolist(), strict=True
        )
    ]
    return _table(CSV_COLUMNS, rows)


def frame_table(found: Sequence[Found]) -> str:
    """A line a frame of the video; frames after the last whole snippet have its score."""
    rows = []
    for each in found:
        count = each.info.num_frames
        snippets = np.searchsorted(each.scores.edges, np.arange(count), side="right") - 1
        scores = each.scores.scores[np.minimum(snippets, len(each.scores.scores) - 1)].tolist()
        rows += [(each.name, frame, round(frame / each.info.fps, 3), repr(score)) for frame, score in enumerate(scores)]
    return _table(("name", "frame", "seconds", "score"), rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _video(found: Found) -> dict[str, Any]:
    info = found.info
    return {
        "name": found.name,
        "path": found.path,
        "fps": info.fps,
        "frames": info.num_frames,
        "seconds": round(info.num_frames / info.fps, 3),
        "snippets": len(found.scores.scores),
        "highest_score": float(found.scores.scores.max()),
        "events": [_event(found, event) for event in found.events],
    }


def _event(found: Found, event: DetectedEvent) -> dict[str, Any]:
    edges, last = found.scores.edges, found.info.num_frames
    first, past = np.searchsorted(edges, (event.start, event.end)).tolist()
    boxes = [
        {
            "start_frame": int(edges[box.snippet]),
            "end_frame": int(min(edges[box.snippet + 1], last)),
            "box": [round(float(side), 2) for side in (box.box.x1, box.box.y1, box.box.x2, box.box.y2)],
            "score": box.score,
        }
        for snippet in range(first, past)
        for box in found.boxes[snippet]
    ]
    return event.as_json(found.info.fps) | ({"boxes": boxes} if found.scores.map is not None else {})
