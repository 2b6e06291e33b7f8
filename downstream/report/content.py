"""What a report says. Whoever has scores fills these in; `page.write_report` makes one HTML file of them.

Nothing here is trusted by the page: names, classes and notes are shown as text, whatever they hold.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from downstream.evaluation.operating_curve import OperatingCurve
from downstream.events.alarm_level import LevelScale
from downstream.events.rule import AlarmRule
from downstream.scores.video_scores import VideoScores
from pretrain.data.video import FrameClock

PLAYABLE = (".mp4", ".m4v", ".webm", ".mov", ".ogv")
"""Names of video files that browsers take; what is in one may still be a codec that they do not know."""
Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """A small picture of one frame."""

    frame: int
    seconds: float
    score: float
    """Of the snippet that stands for the frame."""
    jpeg: bytes
    alt: str
    """What it shows, in words."""
    is_pair: bool = False
    """The frame twice, beside itself: as it is, and with heat."""


@dataclass(frozen=True, kw_only=True)
class ReportVideo:
    """One video of a report. ValueError where the parts do not fit each other."""

    name: str
    fps: float
    """Frames per second: turns frames into times where there is no clock."""
    clock: FrameClock | None = None
    """When its frames are shown."""
    scores: VideoScores | None
    """None where `problem` says why there are none."""
    label: int | None = None
    """1: an anomaly somewhere, 0: normal, None: not known."""
    class_name: str | None = None
    spans: Spans | None = None
    """Annotated frames, half-open; None: not known which. Of a normal video nothing need be given."""
    thumbnails: tuple[Thumbnail, ...] = ()
    link: str | None = None
    """URL of a film or the video, relative to the report, percent-encoded."""
    problem: str | None = None
    """Why the video could not be scored, or not wholly."""

    def __post_init__(self) -> None:
        if not 0 < self.fps < math.inf:
            raise ValueError(f"'{self.name}': {self.fps} frames per second; it must be a finite number above 0")
        if self.scores is None and not self.problem:
            raise ValueError(f"'{self.name}' has neither scores nor a problem that says why")
        if self.link is not None:
            parts = urlsplit(self.link)
            # `javascript:` and hosts: a report links to files beside it and to nothing else
            if parts.scheme or parts.netloc or not self.link.strip() or self.link.startswith(("/", "\\")):
                raise ValueError(f"'{self.name}': the link {self.link!r} is not relative to the report")

    @property
    def is_playable(self) -> bool:
        """Whether the link leads to a kind of file that browsers play."""
        return self.link is not None and Path(urlsplit(self.link).path).suffix.lower() in PLAYABLE

    @property
    def truth(self) -> Spans | None:
        """Annotated spans; empty: known to be normal all through; None: not known."""
        return () if self.spans is None and self.label == 0 else self.spans


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One figure of an evaluation; NaN where it is not defined."""

    name: str
    value: float
    low: float | None = None
    """The interval, where one is known."""
    high: float | None = None
    meaning: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything on the page."""

    title: str
    subtitle: str
    rule: AlarmRule
    """With which the page opens; its slider moves the threshold."""
    videos: tuple[ReportVideo, ...]
    metrics: tuple[Metric, ...] = ()
    curve: OperatingCurve | None = None
    """Anomalies found over false alarms per hour, where an evaluation has it."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Name -> value: detector, backbone, calibration, date, whatever the reader should know."""
    notes: tuple[str, ...] = ()
    lead: str = ""
    """What a reader has to know before all else, in a sentence or two."""
    levels: LevelScale | None = None
    """What a calibration makes of scores; None: each video is its own scale."""


def relative_link(target: Path, out: Path) -> str:
    """URL of a file as seen from the page `out`: what `ReportVideo.link` takes."""
    return quote(os.fsencode(os.path.relpath(target.resolve(), out.resolve().parent).replace(os.sep, "/")))
