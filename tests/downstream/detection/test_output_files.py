"""The files of a call: whole, those of this call alone, and without what was not asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from downstream.detection.output_files import write_output_files
from downstream.detection.records import FailedVideo
from downstream.detection.writers import EVENTS, FRAME_SCORES, SCORES, writers_for
from downstream.detection.writers.events_json import document
from tests.downstream.detection.made import FACTS, detection

FAILED = [FailedVideo(name="bad", path="b.mp4", problem="no video")]


def test_files_are_those_of_this_call_alone(tmp_path: Path) -> None:
    videos = [detection("x", [0.1, 0.7], 40)]
    always = {*writers_for(is_live=False)}
    names = write_output_files(tmp_path, FACTS, videos, FAILED, [FRAME_SCORES])
    assert names[0] == EVENTS
    assert {path.name for path in tmp_path.iterdir()} == {*names} == {*always, FRAME_SCORES}
    names = write_output_files(tmp_path, FACTS, videos, FAILED)
    assert {path.name for path in tmp_path.iterdir()} == {*names} == always
    content = document(FACTS, [videos[0].record], FAILED)
    assert json.loads((tmp_path / EVENTS).read_text(encoding="utf-8")) == content


def test_a_file_that_cannot_be_written_leaves_those_before_it(tmp_path: Path) -> None:
    (tmp_path / FRAME_SCORES).mkdir()  # in the way of the second file
    with pytest.raises(OSError, match=FRAME_SCORES):
        write_output_files(tmp_path, FACTS, [detection("x", [0.7], 16)], [], [FRAME_SCORES])
    names = list(writers_for(is_live=False, asked=[FRAME_SCORES]))
    assert {path.name for path in tmp_path.iterdir()} == {*names[: names.index(FRAME_SCORES) + 1]}
    assert SCORES in names[: names.index(FRAME_SCORES)]
