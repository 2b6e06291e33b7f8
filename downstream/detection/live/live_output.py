"""The output files of one run over a stream: journals that are whole at any time, documents when the run ends.

The formats are those of files, and `events.jsonl`, from which the events of the document `events.json` are read. An
earlier run's files are never written over: where the folder holds any, a new one is made in it, `live-<time>`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import chain, count
from pathlib import Path

from downstream.detection.live.scorer import LiveScore
from downstream.detection.records import DetectionFacts, EventRecord, FailedVideo, VideoRecord
from downstream.detection.writers import JOURNAL, WRITERS, listed, writers_for
from downstream.detection.writers.events_jsonl import read_ended
from downstream.detection.writers.sinks import Journal, WholeFile


class LiveOutput:
    """Every format, told what happens as it happens. A context manager: leaving it closes the files."""

    def __init__(self, out: Path, name: str, facts: DetectionFacts) -> None:
        """Claim a folder, `out` or a new one in it. `name`: of the stream, in tables."""
        journal = _claim(out)
        self.folder = journal.path.parent
        self.name = name
        formats = writers_for(is_live=True)
        self.files = listed(formats)
        """Names of the files, when the run has ended."""
        self._sinks: list[Journal | WholeFile] = []
        for file, writer_type in formats.items():
            if file == JOURNAL:
                self._sinks.append(journal)
            else:
                self._sinks.append(Journal(self.folder / file) if writer_type.grows else WholeFile(self.folder / file))
        self._writers = [writer_type(sink) for writer_type, sink in zip(formats.values(), self._sinks, strict=True)]
        for writer in self._writers:
            writer.begin(facts)

    def __enter__(self) -> LiveOutput:
        return self

    def __exit__(self, *_: object) -> None:
        for sink in self._sinks:
            sink.close()

    def add_score(self, score: LiveScore) -> None:
        """A snippet's score became known."""
        for writer in self._writers:
            writer.score(self.name, score.start, score.end, score.score)

    def add_event(self, event: EventRecord) -> None:
        """An event has begun, or ended."""
        for writer in self._writers:
            writer.event(event)

    def ended_events(self) -> Iterator[EventRecord]:
        """The events that have ended, from the journal: nothing is kept in memory over days."""
        return read_ended(self.folder / JOURNAL)

    def finish(self, stream: VideoRecord | FailedVideo) -> None:
        """The stream is over; its documents are written."""
        for writer, sink in zip(self._writers, self._sinks, strict=True):
            if isinstance(stream, VideoRecord):
                writer.video(stream)
            else:
                writer.failed(stream)
            writer.finish()
            sink.finish()


def _claim(out: Path) -> Journal:
    """The journal of events in a folder that holds no other run's files; made so that two runs never share one."""
    stamp = datetime.now().strftime("live-%Y%m%dT%H%M%S")
    own = [] if any((out / name).exists() for name in WRITERS) else [out]
    for folder in chain(own, [out / stamp], (out / f"{stamp}-{number}" for number in count(2))):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return Journal(folder / JOURNAL)
        except FileExistsError:
            continue
    raise AssertionError("the names never end")
