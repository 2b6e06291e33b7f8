from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from downstream.scores.score_file import FORMAT, read_scores, write_scores
from downstream.scores.video_scores import make_scores
from pretrain.errors import UserError


def test_round_trip_keeps_every_digit_and_both_kinds_of_grid(tmp_path: Path) -> None:
    path = tmp_path / "run" / "scores.json"
    videos = [
        make_scores("v=1__#1 ü", [0.1, 1 / 3, 1e-17], [0, 16, 32, 48]),
        make_scores("uneven", np.float32([0.1, 0.7]), [0, 100, 210]),
    ]
    write_scores(path, videos, {"seed": 3})
    found = read_scores(path)
    assert found.meta == {"seed": 3}
    for before, after in zip(videos, found.videos, strict=True):
        assert after.name == before.name
        np.testing.assert_array_equal(after.scores, before.scores)
        np.testing.assert_array_equal(after.edges, before.edges)
    assert '"snippet_frames": 16' in path.read_text()
    assert '"edges": [0, 100, 210]' in path.read_text()


def test_csv_rows_in_any_order_become_videos(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("score,name,end,start\n0.5,b,10,0\n0.25,a,32,16\n0.75,a,16,0\n")
    b, a = read_scores(path).videos
    assert (a.name, a.scores.tolist(), a.edges.tolist()) == ("a", [0.75, 0.25], [0, 16, 32])
    assert (b.name, b.edges.tolist()) == ("b", [0, 10])


def test_csv_of_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes("\ufeffname;start;end;score\r\na;0.0;16.0;0,75\r\na;16.0;32.0;0,25\r\n'=b;0;9;1\r\n".encode())
    a, b = read_scores(path).videos
    assert (a.name, a.scores.tolist(), a.edges.tolist()) == ("a", [0.75, 0.25], [0, 16, 32])
    assert b.name == "=b"


def test_all_bad_videos_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    entries = [
        {"name": "nan", "snippet_frames": 16, "scores": [0.1, float("nan")]},
        {"name": "late", "edges": [5, 10], "scores": [0.1]},
        {"name": "back", "edges": [0, 10, 10], "scores": [0.1, 0.2]},
        {"name": "twice", "snippet_frames": 16, "scores": [1]},
        {"name": "twice", "snippet_frames": 16, "scores": [1]},
        {"name": "empty", "snippet_frames": 16, "scores": []},
        {"name": "text", "snippet_frames": 16, "scores": ["x"]},
        {"scores": [1]},
    ]
    path.write_text(json.dumps({"format": FORMAT, "videos": entries}))
    with pytest.raises(UserError) as error:
        read_scores(path)
    for part in (
        "'nan': 1 of 2 are not finite, the first is snippet 1",
        "'late': the first snippet begins at frame 5",
        "'back': edges do not increase after snippet 1",
        "'twice' stands twice",
        "'empty': an array of shape (0,)",
        "'text' are not numbers",
        "entry 7 is not a name",
        "7 problem(s)",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("s.json", "{}", "has the format None"),
        ("s.json", "[1", r"cannot read the scores .*; give a score file, or a table named \.csv"),
        ("s.json", f'{{"format": "{FORMAT}", "videos": []}}', "there is no video in the scores"),
        ("s.csv", "name,start,end,score\n", "there is no video in the scores"),
        ("s.csv", "name,start,score\n", "missing: end"),
        ("s.csv", "name,start,end,score\na,0,16,x\n", "line 2"),
        ("s.csv", "name,start,end,score\na,0,16,1\na,20,30,1\n", "ends at frame 16, the next begins at 20"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        read_scores(tmp_path / name)
