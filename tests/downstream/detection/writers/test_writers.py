"""The formats there are, and that a new one is its file and its line: files and streams are written in it alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from downstream.detection.live.live_output import LiveOutput
from downstream.detection.live.scorer import LiveScore
from downstream.detection.output_files import write_output_files
from downstream.detection.records import VideoRecord
from downstream.detection.writers import WRITERS, listed, writers_for
from tests.downstream.detection.made import FACTS, EventsText, detection, stream_event


@pytest.fixture
def new_format(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(WRITERS, "events.txt", EventsText)
    return "events.txt"


def test_files_and_streams_are_written_in_the_same_formats() -> None:
    assert list(writers_for(is_live=False)) == ["scores.csv", "events.json"]
    assert list(writers_for(is_live=False, asked=["frame_scores.csv"])) == [
        "scores.csv",
        "frame_scores.csv",
        "events.json",
    ]
    assert list(writers_for(is_live=True)) == ["events.jsonl", "scores.csv", "events.json"]


def test_events_json_is_written_last_and_told_first(new_format: str) -> None:
    assert list(writers_for(is_live=False))[-2:] == [new_format, "events.json"]
    told = listed(writers_for(is_live=True))
    assert (told[:3], told[-1]) == (["events.json", "events.jsonl", "scores.csv"], new_format)


def test_a_new_format_is_written_of_files(tmp_path: Path, new_format: str) -> None:
    videos = [detection("x", [0.1, 0.7], 40), detection("y", [0.8], 16)]
    assert new_format in write_output_files(tmp_path, FACTS, videos, [])
    assert (tmp_path / new_format).read_text() == (
        "scores of at least 0.5\n1: 0.64 to 1.28\n1: 0.0 to 0.64\nthat is all\n"
    )


def test_a_new_format_is_written_of_a_stream_line_by_line(tmp_path: Path, new_format: str) -> None:
    with LiveOutput(tmp_path, "cam", FACTS) as output:
        output.add_score(LiveScore(0, 16, 0.9, None, None, True))
        output.add_event(stream_event(kind="begun"))
        assert (tmp_path / new_format).read_text() == "scores of at least 0.5\n"
        output.add_event(stream_event())
        assert (tmp_path / new_format).read_text().splitlines()[1:] == ["1: 1.6 to 4.0"]
        stream = VideoRecord(
            name="cam", path="rtsp://cam/~3fa2b1", fps=10.0, num_frames=45, num_snippets=1, highest_score=0.9,
            events=tuple(output.ended_events()),
        )  # fmt: skip
        output.finish(stream)
    assert (tmp_path / new_format).read_text().splitlines()[2:] == ["that is all"]
    assert stream.events == (stream_event(),)
