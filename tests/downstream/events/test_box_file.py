from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from downstream.events.box_file import FORMAT, FrameBox, FrameTube, read_boxes, write_boxes
from downstream.events.boxes import BoxSettings, ScoredBox, Tube, find_boxes, link
from downstream.scores.cell_geometry import PixelBox
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.errors import UserError


def test_tubes_in_frames_and_videos_without_any(tmp_path: Path) -> None:
    path = tmp_path / "run" / "boxes.json"
    boxes = ScoredBox(1, PixelBox(1 / 3, 0, 33.37, 20), 1 / 3), ScoredBox(3, PixelBox(5, 0, 30.06, 20), 0.25)
    videos = [make_scores("caf\udce9 ü", [0.1] * 4, [0, 16, 32, 48, 51]), make_scores("calm", [0.1], [0, 16])]
    write_boxes(path, {"caf\udce9 ü": [Tube(7, 1 / 3, boxes)]}, videos, {"threshold": 0.2})
    found = read_boxes(path)
    expected = FrameTube(
        7,
        1 / 3,
        (FrameBox(16, 32, PixelBox(0.3, 0, 33.4, 20), 1 / 3), FrameBox(48, 51, PixelBox(5, 0, 30.1, 20), 0.25)),
    )
    assert found.videos == {"caf\udce9 ü": (expected,), "calm": ()}
    assert found.videos["caf\udce9 ü"][0].span == (16, 51)
    assert found.meta == {"threshold": 0.2}


def test_the_file_as_other_programs_see_it(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    scores = np.zeros((3, 2, 2), np.float64)
    scores[1, 0, 0], scores[2, 0, :] = 0.75, 0.5
    made = ScoreMap(scores, (320, 240), (40, 0, 280, 240))
    video = VideoScores("v", made.frame_scores(), np.array([0, 16, 32, 40]), made)
    write_boxes(path, {"v": link(find_boxes(made, 0.5), BoxSettings())}, [video])
    assert json.loads(path.read_text())["videos"] == [
        {
            "name": "v",
            "tubes": [
                {
                    "number": 0,
                    "score": 0.75,
                    "start": 16,
                    "end": 40,
                    "boxes": [[16, 32, 40.0, 0.0, 160.0, 120.0, 0.75], [32, 40, 40.0, 0.0, 280.0, 120.0, 0.5]],
                }
            ],
        }
    ]
    assert sum(line.startswith('{"name"') for line in path.read_text().splitlines()) == 1  # a video a line


def test_tubes_of_a_video_that_was_not_given(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"not given: \['w'\]"):
        write_boxes(tmp_path / "boxes.json", {"w": []}, [make_scores("v", [0.1], [0, 16])])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot read the boxes"),
        ("[]", "has the format 'list'"),
        ('{"format": "anomaly-pretext/scores/1", "videos": []}', "not 'anomaly-pretext/boxes/1'"),
        (f'{{"format": "{FORMAT}"}}', "there is no video in the boxes"),
    ],
)
def test_other_files_are_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_boxes(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read the boxes .*none\.json"):
        read_boxes(tmp_path / "none.json")


def test_all_bad_videos_are_named_at_once(tmp_path: Path) -> None:
    def entry(*boxes: list[Any]) -> dict[str, Any]:
        return {"name": f"v{boxes}", "tubes": [{"number": 4, "score": 0.5, "boxes": list(boxes)}]}

    fine = [0, 16, 0, 0, 9, 9, 0.5]
    entries = [
        entry(fine),
        entry(fine),
        entry([16, 16, 0, 0, 9, 9, 0.5]),
        entry([0, 16, 9, 0, 0, 9, 0.5]),
        entry([0, 16, 0, 0, 9, float("nan"), 0.5]),
        entry([0.5, 16, 0, 0, 9, 9, 0.5]),
        entry(),
        entry([8, 24, 0, 0, 9, 9, 0.5], fine),
        {"name": "bare"},
    ]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps({"format": FORMAT, "videos": entries}))
    with pytest.raises(UserError) as caught:
        read_boxes(path)
    for words in (
        "8 problem(s)",
        "stands twice; keep one",
        "entry 2 is not a name and tubes",
        "[16, 16, 0, 0, 9, 9, 0.5] is not start < end in whole frames",
        "[0, 16, 9, 0, 0, 9, 0.5] is not",
        "is nan, not a finite number",
        "[0.5, 16, 0, 0, 9, 9, 0.5] is not",
        "tube 4 has no box",
        "the boxes of tube 4 are not in the order of their frames",
        "entry 8 is not a name and tubes (KeyError('tubes'))",
    ):
        assert words in str(caught.value)
