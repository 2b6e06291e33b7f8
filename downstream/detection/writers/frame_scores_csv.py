"""frame_scores.csv: `name,frame,seconds,score`, a line for every frame of a video; of files, where it is asked for."""

from __future__ import annotations

import numpy as np

from downstream.detection.records import DetectionFacts, VideoRecord
from downstream.detection.writers.writer import Sink, Writer
from pretrain.data.video import clock_of
from pretrain.tables import table_line


class FrameScoresCsv(Writer):
    """A frame has the score of its snippet; frames after the last whole snippet have its score."""

    written = "asked"

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self._ends: list[int] = []
        self._scores: list[float] = []

    def begin(self, facts: DetectionFacts) -> None:
        self.sink.write(table_line(("name", "frame", "seconds", "score")))

    def score(self, video: str, start: int, end: int, score: float) -> None:
        self._ends.append(end)
        self._scores.append(score)

    def video(self, video: VideoRecord) -> None:
        snippets = np.searchsorted(self._ends, np.arange(video.num_frames), side="right")
        clock = clock_of(video.fps) if video.clock is None else video.clock
        for frame, snippet in enumerate(np.minimum(snippets, len(self._scores) - 1).tolist()):
            cells = (video.name, frame, round(clock.begin(frame), 3), repr(self._scores[snippet]))
            self.sink.write(table_line(cells))
        self._ends.clear()
        self._scores.clear()
