"""What an output format is: it is told what happens, and writes what it makes of it."""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol

from downstream.detection.records import DetectionFacts, EventRecord, FailedVideo, VideoRecord


class Sink(Protocol):
    """Where a format's text goes; see `sinks`."""

    def write(self, text: str, /) -> object:
        """Add to the end."""


class Writer:
    """One output format: a subclass overrides what it writes something of.

        files     begin  (score ... score  event ... event  video | failed) ...      finish
        a stream  begin   score event score event ...       video | failed           finish

    Not one class that is final, as elsewhere: a format has no use for most of what happens, and says nothing of it.
    """

    written: ClassVar[Literal["always", "live", "asked"]] = "always"
    """`live`: of streams alone. `asked`: of files alone, where it is asked for."""
    grows: ClassVar[bool] = True
    """Of a stream: whether what is written is on disk at once, in whole lines. Else it is one document, there when the
    run ends."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    def begin(self, facts: DetectionFacts) -> None:
        """What detects; before everything else."""

    def score(self, video: str, start: int, end: int, score: float) -> None:
        """Frames `[start, end)` of a video have this score; in order."""

    def event(self, event: EventRecord) -> None:
        """Of a file, each event once, `ended`; of a stream, when it has begun and when it has ended."""

    def video(self, video: VideoRecord) -> None:
        """A video is over: all its scores and events were told."""

    def failed(self, video: FailedVideo) -> None:
        """A video could not be scored."""

    def finish(self) -> None:
        """Nothing follows."""
