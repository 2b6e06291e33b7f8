"""events.json: every video with its events, for programs.

    {"format": "anomaly-pretext/events/1", "detector": {...}, "rule": {"threshold": 0.93, ...},
     "videos": [{"name": "street", "path": "street.mp4", "fps": 25.0, "frames": 4500, "seconds": 180.0,
                 "snippets": 281, "highest_score": 0.98, "events": [
        {"number": 1, "start_frame": 320, "end_frame": 448, "start_seconds": 12.8, "end_seconds": 17.92,
         "peak_seconds": 14.4, "peak_score": 0.98, "boxes": [
            {"start_frame": 320, "end_frame": 336, "box": [40, 60, 120, 150], "score": 0.95}]}]}],
     "failed": [{"name": "broken", "path": "broken.mp4", "problem": "..."}]}

A stream is a video with a section `live`; its events say when they ended (`ended_at`), whether they were
`cut_short`, and where their `snapshot` and `clip` lie.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from downstream.detection.records import DetectionFacts, EventRecord, FailedVideo, LiveFigures, VideoRecord
from downstream.detection.writers.writer import Sink, Writer
from pretrain.files import json_text

FORMAT = "anomaly-pretext/events/1"


class EventsJson(Writer):
    """One document, written when all is known."""

    grows = False

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self._facts: DetectionFacts | None = None
        self._videos: list[VideoRecord] = []
        self._failed: list[FailedVideo] = []

    def begin(self, facts: DetectionFacts) -> None:
        self._facts = facts

    def video(self, video: VideoRecord) -> None:
        self._videos.append(video)

    def failed(self, video: FailedVideo) -> None:
        self._failed.append(video)

    def finish(self) -> None:
        assert self._facts is not None
        content = document(self._facts, self._videos, self._failed)
        self.sink.write(json_text(content, indent=2) + "\n")


def document(facts: DetectionFacts, videos: Sequence[VideoRecord], failed: Sequence[FailedVideo]) -> dict[str, Any]:
    """The content of events.json."""
    return {
        "format": FORMAT,
        "detector": {
            "path": facts.detector,
            "sha256": list(facts.sha256),
            "encoders": list(facts.encoders),
            "cells": None if facts.cells is None else list(facts.cells),
        },
        "rule": facts.rule.as_json(),
        "rule_from": facts.rule_from,
        "videos": [_video(video) for video in videos],
        "failed": [
            {"name": video.name, "path": video.path, "problem": video.problem} | _live(video.live) for video in failed
        ],
    }


def _video(video: VideoRecord) -> dict[str, Any]:
    return {
        "name": video.name,
        "path": video.path,
        "fps": video.fps,
        "frames": video.num_frames,
        "seconds": video.seconds,
        "snippets": video.num_snippets,
        "highest_score": video.highest_score,
        "events": [_event(event) for event in video.events],
    } | _live(video.live)


def _event(event: EventRecord) -> dict[str, Any]:
    values = event.as_json()
    if event.is_cut_short:
        values["cut_short"] = True
    if event.wall_clock is not None:
        values["ended_at"] = event.wall_clock
    files = {"snapshot": event.snapshot, "clip": event.clip}
    values |= {name: path for name, path in files.items() if path is not None}
    if event.boxes is not None:
        values["boxes"] = [
            {"start_frame": box.start_frame, "end_frame": box.end_frame, "box": box.corners, "score": box.score}
            for box in event.boxes
        ]
    return values


def _live(figures: LiveFigures | None) -> dict[str, Any]:
    return {} if figures is None else {"live": dataclasses.asdict(figures)}
