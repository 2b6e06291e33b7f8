"""Tables and events.json: nothing is lost on the way to disk, and everything lies within the video."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.detection.model import ScoredFile
from downstream.detection.outputs import (
    EVENTS,
    FRAME_SCORES,
    SCORES,
    Found,
    document,
    frame_table,
    look_into,
    score_table,
    write_outputs,
)
from downstream.events.finder import find_events
from downstream.events.rule import AlarmRule
from downstream.scores.score_file import read_scores
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.data.video import VideoInfo

FPS, LENGTH = 25.0, 16
SIZE = (96, 48)


def rule(threshold: float, release: float | None = None) -> AlarmRule:
    return AlarmRule(threshold=threshold, release=threshold if release is None else release)


def scored(scores: VideoScores, frames: int) -> ScoredFile:
    info = VideoInfo(frames, FPS, *SIZE, frames / FPS, "h264", 0, True)
    return ScoredFile(scores.name, f"{scores.name}.mp4", scores, info, "")


def of_cells(values: np.ndarray, frames: int) -> ScoredFile:
    score_map = ScoreMap(values, SIZE, (0.0, 0.0, 96.0, 48.0))
    edges = np.arange(len(values) + 1) * LENGTH
    return scored(VideoScores("street", score_map.frame_scores(), edges, score_map), frames)


number = st.floats(0, 1)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(str.strip).filter(bool)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, st.lists(number, min_size=1, max_size=9), min_size=1, max_size=4))
def test_scores_csv_is_a_score_file_with_every_digit(content: dict[str, list[float]]) -> None:
    videos = {name: make_scores(name, values, np.arange(len(values) + 1) * LENGTH) for name, values in content.items()}
    found = [look_into(scored(each, 200), rule(0.5)) for each in videos.values()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / SCORES
        path.write_text(score_table(found), encoding="utf-8")
        back = read_scores(path).videos
    assert [each.name for each in back] == list(videos)
    for each in back:
        assert np.array_equal(each.scores, videos[each.name].scores)
        assert np.array_equal(each.edges, videos[each.name].edges)


@settings(max_examples=60, deadline=None)
@given(st.lists(number, min_size=1, max_size=8), st.integers(1, 150), st.integers(1, 20))
def test_every_frame_has_the_score_of_its_snippet_and_the_tail_that_of_the_last(
    values: list[float], frames: int, length: int
) -> None:
    found = look_into(scored(make_scores("x", values, np.arange(len(values) + 1) * length), frames), rule(2.0))
    rows = list(csv.DictReader(io.StringIO(frame_table([found]))))
    assert [int(row["frame"]) for row in rows] == list(range(frames))
    for row in rows:
        frame = int(row["frame"])
        assert float(row["score"]) == values[min(frame // length, len(values) - 1)]
        assert float(row["seconds"]) == pytest.approx(frame / FPS, abs=5e-4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(-15, 15), number, number)
def test_events_have_boxes_in_every_snippet_and_nowhere_else(
    seed: int, snippets: int, more: int, high: float, low: float
) -> None:
    values = np.random.default_rng(seed).random((snippets, 2, 3)) ** 2
    frames, own = max(1, snippets * LENGTH + more), rule(max(high, low, 1e-6), min(high, low))
    each = of_cells(values, frames)
    assert each.scores is not None
    found = look_into(each, own)
    assert list(found.events) == find_events(each.scores, own, FPS)
    inside = np.zeros(snippets, bool)
    for event in found.events:
        inside[event.start // LENGTH : event.end // LENGTH] = True
    for snippet, boxes in enumerate(found.boxes):
        assert bool(boxes) == inside[snippet]
        for box in boxes:
            assert own.release <= box.score <= each.scores.scores[snippet]
            assert 0 <= box.box.x1 < box.box.x2 <= SIZE[0]
            assert 0 <= box.box.y1 < box.box.y2 <= SIZE[1]


def test_what_goes_past_the_end_of_the_video_is_cut_there(model: object) -> None:
    found = look_into(of_cells(np.full((1, 2, 3), 0.9), 7), rule(0.5))  # a video shorter than a snippet
    (video,) = document(model, rule(0.5), [found], [])["videos"]  # type: ignore[arg-type]
    (event,) = video["events"]
    assert (event["start_frame"], event["end_frame"], event["end_seconds"]) == (0, 7, 0.28)
    (box,) = event["boxes"]
    assert (box["start_frame"], box["end_frame"], box["box"]) == (0, 7, [0.0, 0.0, 96.0, 48.0])
    assert found.spans == [(0, 7)]


class _Model:
    """What `document` asks of a model."""

    path, names, sources, grid = Path("runs/x"), ["a", "b"], (), None
    rule, rule_from = rule(0.5), "calibrated"


@pytest.fixture
def model() -> _Model:
    return _Model()


def test_the_document_says_whose_rule_it_is_and_what_failed(model: _Model) -> None:
    found = [look_into(scored(make_scores("é/x", [0.1, 0.7], [0, 16, 32]), 40), rule(0.5))]
    failed = [ScoredFile("bad", "b.mp4", None, None, "no video")]
    content = document(model, model.rule, found, failed)  # type: ignore[arg-type]
    assert content["rule_from"] == "calibrated"
    assert document(model, rule(0.6), found, failed)["rule_from"] == "given on the command line"  # type: ignore[arg-type]
    assert content["failed"] == [{"name": "bad", "path": "b.mp4", "problem": "no video"}]
    (video,) = content["videos"]
    assert (video["frames"], video["seconds"], video["snippets"], video["highest_score"]) == (40, 1.6, 2, 0.7)
    (event,) = video["events"]
    assert event == {"number": 1, "start_frame": 16, "end_frame": 32, "start_seconds": 0.64, "end_seconds": 1.28,
                     "peak_seconds": 0.96, "peak_score": 0.7}  # fmt: skip


def test_files_are_those_of_this_call_alone(tmp_path: Path, model: _Model) -> None:
    found: list[Found] = [look_into(scored(make_scores("x", [0.1, 0.7], [0, 16, 32]), 40), rule(0.5))]
    content = document(model, model.rule, found, [])  # type: ignore[arg-type]
    write_outputs(tmp_path, content, found, frames=True)
    assert {path.name for path in tmp_path.iterdir()} == {EVENTS, SCORES, FRAME_SCORES}
    write_outputs(tmp_path, content, found)
    assert {path.name for path in tmp_path.iterdir()} == {EVENTS, SCORES}
    assert json.loads((tmp_path / EVENTS).read_text(encoding="utf-8")) == content
