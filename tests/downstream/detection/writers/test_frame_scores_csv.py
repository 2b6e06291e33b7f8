"""frame_scores.csv: every frame has the score of its snippet, the tail that of the last."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.detection.output_files import tell
from downstream.detection.writers.frame_scores_csv import FrameScoresCsv
from tests.downstream.detection.made import FACTS, FPS, detection


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.integers(1, 150), st.integers(1, 20))
def test_every_frame_has_the_score_of_its_snippet_and_the_tail_that_of_the_last(
    values: list[float], frames: int, length: int
) -> None:
    text = io.StringIO()
    other = detection("other", [0.5], 16)
    tell(FrameScoresCsv(text), FACTS, [detection("x", values, frames, 2.0, length), other], [])
    rows = [row for row in csv.DictReader(io.StringIO(text.getvalue())) if row["name"] == "x"]
    assert [int(row["frame"]) for row in rows] == list(range(frames))
    for row in rows:
        frame = int(row["frame"])
        assert float(row["score"]) == values[min(frame // length, len(values) - 1)]
        assert float(row["seconds"]) == pytest.approx(frame / FPS, abs=5e-4)
    assert text.getvalue().count("other,") == 16
