"""scores.csv: `name,start,end,score`, a line a snippet, frames half-open. It is a score file: evaluation reads it."""

from __future__ import annotations

from downstream.detection.records import DetectionFacts
from downstream.detection.writers.writer import Writer
from downstream.scores.score_file import CSV_COLUMNS
from pretrain.tables import table_line


class ScoresCsv(Writer):
    """Scores keep all their digits."""

    def begin(self, facts: DetectionFacts) -> None:
        self.sink.write(table_line(CSV_COLUMNS))

    def score(self, video: str, start: int, end: int, score: float) -> None:
        self.sink.write(table_line((video, start, end, repr(score))))
