"""What detection tells of its work, as typed records: every output format is made of these, of files and streams alike.

Frames are half-open and counted from 0; boxes are x1, y1, x2, y2 in pixels of the video.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from downstream.events.alarm_level import AlarmLevel, LevelScale
from downstream.events.finder import DetectedEvent
from downstream.events.rule import AlarmRule
from downstream.features.feature_spec import Grid
from downstream.features.zones import Zones
from downstream.scores.cell_geometry import PixelBox
from pretrain.data.video import Clock


@dataclass(frozen=True, kw_only=True)
class DetectionFacts:
    """What detects, and by which rule."""

    detector: str
    """Path of the run or package that was opened."""
    sha256: tuple[str, ...]
    """Of the detectors' weights."""
    encoders: tuple[str, ...]
    """Their names."""
    cells: Grid | None
    """Rows and columns of the cells that are scored; None: whole pictures are."""
    rule: AlarmRule
    rule_from: str
    """Where the rule comes from, in words."""


@dataclass(frozen=True, kw_only=True)
class BoxRecord:
    """Where in the picture, for the frames `[start_frame, end_frame)` of one snippet."""

    start_frame: int
    end_frame: int
    box: PixelBox
    score: float

    @property
    def corners(self) -> list[float]:
        """x1, y1, x2, y2 to two digits."""
        return [round(float(side), 2) for side in self.box]


@dataclass(frozen=True, kw_only=True)
class EventRecord:
    """An event as it is known: of a file when it is over, of a stream when it begins and again when it ends."""

    kind: Literal["begun", "ended"] = "ended"
    number: int
    """From 1, in the order in which they begin: joins what is told of one event."""
    start_frame: int
    end_frame: int
    """Of one that has just begun, the end so far."""
    start_seconds: float
    end_seconds: float
    peak_seconds: float
    """The middle of the highest snippet."""
    peak_score: float
    peak_start_frame: int
    peak_end_frame: int
    boxes: tuple[BoxRecord, ...] | None = None
    """In order, those of a snippet highest first; of a stream the highest one of the highest snippet alone. None of
    detectors of whole pictures."""
    is_cut_short: bool = False
    """Ended because nothing more was seen: how long it went on, nobody knows."""
    wall_clock: str | None = None
    """When the footage of its begin (`begun`) or end arrived, ISO 8601; None of a file."""
    stream: str | None = None
    """Address of the stream, without passwords; None of a file."""
    snapshot: str | None = None
    """Path of a picture of its highest moment, from the folder of the output files; None: none is kept."""
    clip: str | None = None
    """Path of a short film of its begin, likewise."""
    level: AlarmLevel | None = None
    """What the peak score means to people; None where nobody said."""

    zones: tuple[str, ...] | None = None
    """Names of the included zones that the highest box reaches into, the one that has most of it first; of a detector
    of whole pictures, which does not know where, all of them. None: no zones are set."""

    @property
    def peak_box(self) -> BoxRecord | None:
        """The highest box of the highest snippet."""
        return next((box for box in self.boxes or () if box.start_frame == self.peak_start_frame), None)

    def in_zones(self, zones: Zones | None, width: int, height: int) -> EventRecord:
        """The same with the names of its zones, in a picture of so many pixels."""
        if zones is None:
            return self
        if self.boxes is None:
            return replace(self, zones=zones.names())
        if self.peak_box is None:
            return replace(self, zones=())
        x1, y1, x2, y2 = self.peak_box.box
        return replace(self, zones=zones.names_in(x1 / width, y1 / height, x2 / width, y2 / height))

    def as_json(self) -> dict[str, Any]:
        """What every format says of an event: which, when, how high, in which zones."""
        values = {
            "number": self.number,
            "start_frame": self.start_frame,
            "end_frame": self.end_frame,
            "start_seconds": self.start_seconds,
            "end_seconds": self.end_seconds,
            "peak_seconds": self.peak_seconds,
            "peak_score": self.peak_score,
        } | ({} if self.level is None else {"level": self.level.as_json()})
        return values if self.zones is None else values | {"zones": list(self.zones)}


def event_record(
    event: DetectedEvent,
    clock: Clock | float,
    num_frames: int,
    boxes: tuple[BoxRecord, ...] | None,
    *,
    kind: Literal["begun", "ended"] = "ended",
    is_cut_short: bool = False,
    levels: LevelScale | None = None,
) -> EventRecord:
    """The record of an event in a video of so many frames, or in a stream of which so many were seen, by its clock.

    A snippet may reach past them, an event does not. `levels` says what its peak means.
    """
    return EventRecord(
        **replace(event, end=min(event.end, num_frames)).as_json(clock),
        peak_start_frame=event.peak_start,
        peak_end_frame=min(event.peak_end, num_frames),
        kind=kind,
        boxes=boxes,
        is_cut_short=is_cut_short,
        level=None if levels is None else levels.level(event.peak_score),
    )


@dataclass(frozen=True, kw_only=True)
class LiveFigures:
    """How well a stream was kept up with."""

    began: str
    """Time of day, ISO 8601."""
    ended: str
    ending: str
    """Why, in words."""
    frames_dropped: int
    """By us, because they came too fast."""
    frames_missing: int
    """In all."""
    outages: int
    reconnects: int
    damaged: int
    """Packets and frames that did not decode cleanly."""
    delay_seconds: dict[str, float | None]
    """`median` and `p95`, from the arrival of a snippet's last frame until its score; None: nothing was measured."""
    times_real_time: float | None
    """Seconds of footage that a second of work scores."""


@dataclass(frozen=True, kw_only=True)
class VideoRecord:
    """One video, or a stream that is over, and its events."""

    name: str
    path: str
    """Of a stream its address, without passwords."""
    fps: float
    """Frames in a second of footage, on average."""
    num_frames: int
    num_snippets: int
    highest_score: float
    events: tuple[EventRecord, ...]
    clock: Clock | None = None
    """When its frames are shown; None of a stream, which keeps no account of each."""
    live: LiveFigures | None = None
    """None of a file that was read to its end."""
    level: AlarmLevel | None = None
    """What the highest score means to people; None where nobody said."""
    footage: float | None = None
    """Seconds of what was seen, without gaps in the recording or outages; None: by the frame rate."""

    @property
    def seconds(self) -> float:
        """Its length: of what was seen."""
        return round(self.num_frames / self.fps if self.footage is None else self.footage, 3)


@dataclass(frozen=True, kw_only=True)
class FailedVideo:
    """One that could not be scored."""

    name: str
    path: str
    problem: str
    live: LiveFigures | None = None
