"""events.json: of files and of streams by one function, each with what it has."""

from __future__ import annotations

import io
import json

import numpy as np

from downstream.detection.records import BoxRecord, FailedVideo, LiveFigures, VideoRecord
from downstream.detection.video_events import find_video_events
from downstream.detection.writers.events_json import EventsJson, document
from downstream.scores.cell_geometry import PixelBox
from tests.downstream.detection.made import FACTS, detection, make_rule, of_cells, stream_event

FIGURES = LiveFigures(
    began="b", ended="e", ending="the stream ended", frames_dropped=1, frames_missing=2, outages=3, reconnects=4,
    damaged=5, delay_seconds={"median": None, "p95": None}, times_real_time=None,
)  # fmt: skip


def test_the_document_says_whose_rule_it_is_and_what_failed() -> None:
    failed = FailedVideo(name="bad", path="b.mp4", problem="no video")
    content = document(FACTS, [detection("é/x", [0.1, 0.7], 40).record], [failed])
    assert list(content) == ["format", "detector", "rule", "rule_from", "videos", "failed"]
    assert content["detector"] == {"path": "runs/x", "sha256": ["a", "b"], "encoders": ["small3d"], "cells": None}
    assert (content["rule"], content["rule_from"]) == (make_rule(0.5).as_json(), "calibrated")
    assert content["failed"] == [{"name": "bad", "path": "b.mp4", "problem": "no video"}]
    (video,) = content["videos"]
    assert (video["frames"], video["seconds"], video["snippets"], video["highest_score"]) == (40, 1.6, 2, 0.7)
    (event,) = video["events"]
    assert event == {"number": 1, "start_frame": 16, "end_frame": 32, "start_seconds": 0.64, "end_seconds": 1.28,
                     "peak_seconds": 0.96, "peak_score": 0.7, "level": video["highest_level"]}  # fmt: skip
    assert event["level"]["words"] == "very unusual for this video, level 10 of 10"
    assert (event["level"]["relative_to"], event["level"]["once_in_hours"]) == ("this video", None)


def test_boxes_are_those_of_each_snippet() -> None:
    video = find_video_events(of_cells(np.full((2, 2, 3), 0.9), 32), make_rule(0.5))
    (event,) = document(FACTS, [video.record], [])["videos"][0]["events"]
    whole = {"box": [0.0, 0.0, 96.0, 48.0], "score": 0.9}
    assert event["boxes"] == [{"start_frame": 0, "end_frame": 16} | whole, {"start_frame": 16, "end_frame": 32} | whole]


def test_a_stream_adds_its_figures_and_when_events_ended() -> None:
    box = BoxRecord(start_frame=16, end_frame=32, box=PixelBox(1 / 3, 2, 30, 40), score=0.9)
    video = VideoRecord(
        name="cam", path="rtsp://cam/~3fa2b1", fps=10.0, num_frames=45, num_snippets=2, highest_score=0.9,
        events=(stream_event(boxes=(box,), is_cut_short=True), stream_event(number=2)), live=FIGURES,
    )  # fmt: skip
    content = document(FACTS, [video], [FailedVideo(name="n", path="p", problem="why", live=FIGURES)])
    first, second = content["videos"][0]["events"]
    assert list(first.items())[7:] == [
        ("cut_short", True),
        ("ended_at", "2026-01-02T03:04:05.678+00:00"),
        ("boxes", [{"start_frame": 16, "end_frame": 32, "box": [0.33, 2.0, 30.0, 40.0], "score": 0.9}]),
    ]
    assert list(second)[7:] == ["ended_at"]
    assert list(content["videos"][0])[-2:] == ["events", "live"]
    assert content["videos"][0]["live"] == content["failed"][0]["live"]
    assert list(content["failed"][0]["live"].items())[2:4] == [("ending", "the stream ended"), ("frames_dropped", 1)]


def test_it_is_written_when_all_is_known() -> None:
    text, record = io.StringIO(), detection("é", [0.7], 16).record
    writer = EventsJson(text)
    writer.begin(FACTS)
    writer.video(record)
    assert text.getvalue() == ""
    writer.finish()
    assert text.getvalue() == json.dumps(document(FACTS, [record], []), indent=2, ensure_ascii=False) + "\n"
