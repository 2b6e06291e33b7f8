"""scores.csv: `name,start,end,score`, a line a snippet, frames half-open. It is a score file: evaluation reads it."""

from __future__ import annotations

import csv

from downstream.detection.records import DetectionFacts
from downstream.detection.writers.writer import Sink, Writer
from downstream.scores.score_file import CSV_COLUMNS


class ScoresCsv(Writer):
    """Scores keep all their digits."""

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self._rows = csv.writer(sink, lineterminator="\n")

    def begin(self, facts: DetectionFacts) -> None:
        self._rows.writerow(CSV_COLUMNS)

    def score(self, video: str, start: int, end: int, score: float) -> None:
        self._rows.writerow((video, start, end, repr(score)))
