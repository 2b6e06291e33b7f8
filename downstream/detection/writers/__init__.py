"""Output formats of detection, one a file, the same for videos that are read to their end and for streams.

A new format is its file, with a `Writer`, and its line in `WRITERS`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from downstream.detection.writers.events_json import EventsJson
from downstream.detection.writers.events_jsonl import EventsJsonl
from downstream.detection.writers.frame_scores_csv import FrameScoresCsv
from downstream.detection.writers.scores_csv import ScoresCsv
from downstream.detection.writers.writer import Writer

EVENTS, JOURNAL, SCORES, FRAME_SCORES = "events.json", "events.jsonl", "scores.csv", "frame_scores.csv"

WRITERS: dict[str, type[Writer]] = {
    JOURNAL: EventsJsonl,
    SCORES: ScoresCsv,
    FRAME_SCORES: FrameScoresCsv,
    EVENTS: EventsJson,
}
"""File name -> what writes it."""


def writers_for(*, is_live: bool, asked: Collection[str] = ()) -> dict[str, type[Writer]]:
    """The formats that a run writes, in order; `asked`: those of the ones written on request alone that are wanted.

    events.json is last: whoever waits for it finds all of them.
    """
    occasions = {"always", "live"} if is_live else {"always"}
    chosen = {name: writer for name, writer in WRITERS.items() if writer.written in occasions or name in asked}
    return dict(sorted(chosen.items(), key=lambda item: item[0] == EVENTS))


def listed(names: Iterable[str]) -> list[str]:
    """File names as people are told of them: events.json first."""
    return sorted(names, key=lambda name: name != EVENTS)
