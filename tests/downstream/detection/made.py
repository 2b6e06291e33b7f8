"""Made-up detections: scores without a detector, what says of itself that it detected, a format of our own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from downstream.detection.model import ScoredFile
from downstream.detection.records import DetectionFacts, EventRecord
from downstream.detection.video_events import VideoDetection, find_video_events
from downstream.detection.writers.writer import Writer
from downstream.events.rule import AlarmRule
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.data.video import VideoInfo

FPS, LENGTH = 25.0, 16
SIZE = (96, 48)


def make_rule(threshold: float, release: float | None = None) -> AlarmRule:
    return AlarmRule(threshold=threshold, release=threshold if release is None else release)


FACTS = DetectionFacts(
    detector="runs/x", sha256=("a", "b"), encoders=("small3d",), cells=None, rule=make_rule(0.5), rule_from="calibrated"
)


def scored_file(scores: VideoScores, frames: int) -> ScoredFile:
    info = VideoInfo(frames, FPS, *SIZE, frames / FPS, "h264", 0, True)
    return ScoredFile(scores.name, f"{scores.name}.mp4", scores, info, "")


def of_cells(values: np.ndarray, frames: int) -> ScoredFile:
    score_map = ScoreMap(values, SIZE, (0.0, 0.0, 96.0, 48.0))
    edges = np.arange(len(values) + 1) * LENGTH
    return scored_file(VideoScores("street", score_map.frame_scores(), edges, score_map), frames)


def detection(
    name: str, values: Sequence[float], frames: int, threshold: float = 0.5, length: int = LENGTH
) -> VideoDetection:
    scores = make_scores(name, values, np.arange(len(values) + 1) * length)
    return find_video_events(scored_file(scores, frames), make_rule(threshold))


def stream_event(**fields: object) -> EventRecord:
    """An event of a stream, frames 16 to 40 at 10 a second, as it ended."""
    values: dict[str, object] = {
        "number": 1, "start_frame": 16, "end_frame": 40, "start_seconds": 1.6, "end_seconds": 4.0,
        "peak_seconds": 2.4, "peak_score": 0.9, "peak_start_frame": 16, "peak_end_frame": 32,
        "wall_clock": "2026-01-02T03:04:05.678+00:00", "stream": "rtsp://cam/~3fa2b1",
    }  # fmt: skip
    return EventRecord(**(values | fields))  # type: ignore[arg-type]


class EventsText(Writer):
    """A format that nobody else knows: a line an event."""

    def begin(self, facts: DetectionFacts) -> None:
        self.sink.write(f"scores of at least {facts.rule.threshold:g}\n")

    def event(self, event: EventRecord) -> None:
        if event.kind == "ended":
            self.sink.write(f"{event.number}: {event.start_seconds} to {event.end_seconds}\n")

    def finish(self) -> None:
        self.sink.write("that is all\n")
