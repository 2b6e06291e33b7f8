"""Lines of a stream's files are there at once; no run writes over another's files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from downstream.detection.live.live_output import LiveOutput
from downstream.detection.live.scorer import LiveScore
from downstream.detection.records import FailedVideo
from downstream.detection.writers import JOURNAL
from downstream.scores.score_file import read_scores
from tests.downstream.detection.made import FACTS, stream_event


def test_lines_are_there_at_once_and_scores_are_a_score_file(tmp_path: Path) -> None:
    with LiveOutput(tmp_path / "out", "a, camera", FACTS) as output:
        for n, score in enumerate([0.1, 1 / 3]):
            output.add_score(LiveScore(16 * n, 16 * n + 16, score, None, None, True))
        output.add_event(stream_event(kind="begun", stream="Tür"))
        output.add_event(stream_event(stream="Tür"))
        assert list(output.ended_events()) == [stream_event(stream="Tür")]
        (video,) = read_scores(output.folder / "scores.csv").videos  # before anything is closed
        lines = (output.folder / JOURNAL).read_text(encoding="utf-8").splitlines()
    assert (video.name, video.scores.tolist(), video.edges.tolist()) == ("a, camera", [0.1, 1 / 3], [0, 16, 32])
    assert [json.loads(line)["stream"] for line in lines] == ["Tür", "Tür"]
    assert not (tmp_path / "out" / "events.json").exists()  # it was not finished


@pytest.mark.parametrize("earlier", ["events.json", "scores.csv", "frame_scores.csv", JOURNAL])
def test_an_earlier_runs_files_stay_as_they_are(tmp_path: Path, earlier: str) -> None:
    (tmp_path / earlier).write_text("of before")
    folders = []
    for _ in range(3):
        with LiveOutput(tmp_path, "v", FACTS) as output:
            output.finish(FailedVideo(name="v", path="v", problem="nothing came"))
        folders.append(output.folder)
    assert len({*folders, tmp_path}) == 4
    assert all(folder.parent == tmp_path and folder.name.startswith("live-2") for folder in folders)
    assert (tmp_path / earlier).read_text() == "of before"
    assert all((folder / "events.json").is_file() for folder in folders)
