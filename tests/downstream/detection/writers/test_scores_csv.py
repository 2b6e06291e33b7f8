"""scores.csv: a score file, with every digit."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.detection.output_files import tell
from downstream.detection.writers.scores_csv import ScoresCsv
from downstream.scores.score_file import read_scores
from tests.downstream.detection.made import FACTS, LENGTH, detection

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(str.strip).filter(bool)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, st.lists(st.floats(0, 1), min_size=1, max_size=9), min_size=1, max_size=4))
def test_it_is_a_score_file_with_every_digit(content: dict[str, list[float]]) -> None:
    text = io.StringIO()
    tell(ScoresCsv(text), FACTS, [detection(name, values, 200) for name, values in content.items()], [])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.csv"
        path.write_text(text.getvalue(), encoding="utf-8")
        videos = read_scores(path).videos
    assert [video.name for video in videos] == list(content)
    for video in videos:
        assert video.scores.tolist() == content[video.name]
        assert np.array_equal(video.edges, np.arange(len(video.scores) + 1) * LENGTH)
