"""Journals hold whole lines whatever happens; no run writes over another's files; delays in constant memory."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstream.detection.live.journal import JOURNAL, Journal, LiveFiles
from downstream.detection.live.meter import Delays, Meter
from downstream.detection.live.scorer import LiveScore
from downstream.scores.score_file import read_scores


class FullDisk:
    """Takes so many bytes, then no more."""

    def __init__(self, file: object, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = data[: self.room]
        self.room -= len(taken)
        return self.file.write(taken)  # type: ignore[attr-defined, no-any-return]

    def truncate(self, size: int) -> None:
        self.file.truncate(size)  # type: ignore[attr-defined]


def test_a_full_disk_leaves_whole_lines_and_is_said_with_the_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    journal.append("first\n")
    journal._file = FullDisk(journal._file, 4)  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space left on device") as full:
        journal.append("second\n")
    assert full.value.filename == str(tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").read_text() == "first\n"


def test_lines_are_there_at_once_and_scores_are_a_score_file(tmp_path: Path) -> None:
    with LiveFiles(tmp_path / "out", "a, camera") as files:
        for n, score in enumerate([0.1, 1 / 3]):
            files.add_score(LiveScore(16 * n, 16 * n + 16, score, None, None, True))
        files.add_event({"kind": "begun", "number": 1, "stream": "Tür"})
        files.add_event({"kind": "ended", "number": 1, "stream": "Tür"})
        assert [record["kind"] for record in files.ended()] == ["ended"]
        (video,) = read_scores(files.folder / "scores.csv").videos  # before anything is closed
        lines = (files.folder / JOURNAL).read_text(encoding="utf-8").splitlines()
    assert (video.name, video.scores.tolist(), video.edges.tolist()) == ("a, camera", [0.1, 1 / 3], [0, 16, 32])
    assert [json.loads(line)["stream"] for line in lines] == ["Tür", "Tür"]


@pytest.mark.parametrize("earlier", ["events.json", "scores.csv", "frame_scores.csv", JOURNAL])
def test_an_earlier_runs_files_stay_as_they_are(tmp_path: Path, earlier: str) -> None:
    (tmp_path / earlier).write_text("of before")
    folders = []
    for _ in range(3):
        with LiveFiles(tmp_path, "v") as files:
            files.finish({})
        folders.append(files.folder)
    assert len({*folders, tmp_path}) == 4
    assert all(folder.parent == tmp_path and folder.name.startswith("live-2") for folder in folders)
    assert (tmp_path / earlier).read_text() == "of before"
    assert all((folder / "events.json").is_file() for folder in folders)


@given(st.lists(st.floats(2e-4, 1000), min_size=1, max_size=60), st.sampled_from([0.5, 0.95]))
def test_quantiles_are_right_to_a_bin(seconds: list[float], share: float) -> None:
    delays = Delays()
    for each in seconds:
        delays.add(each)
    exact = float(np.quantile(seconds, share, method="inverted_cdf"))
    found = delays.quantile(share)
    assert found is not None
    assert exact / 1.011 <= found <= exact * 1.011


def test_what_was_not_measured_is_not_said() -> None:
    meter = Meter()
    assert (meter.describe_delay(), meter.describe_speed(), meter.times_real_time) == ("", "", None)
    meter.worked(0.25)
    meter.scored(0.5, None)
    meter.worked(0.25)
    meter.scored(0.5, 5000.0)
    assert meter.describe_speed() == "2.0 times real time"
    assert meter.delays.quantile(0.5) == pytest.approx(1118, rel=0.02)  # the last bin
