from __future__ import annotations

from pathlib import Path

import pytest

from downstream.runs.run_folder import supervision_of
from downstream.scores.score_file import ScoreFile
from downstream.scores.supervision import supervision_in
from pretrain.files import write_json


def test_what_a_card_or_a_meta_says() -> None:
    assert supervision_in({"supervision": "frames"}) == "frames"
    assert supervision_in({"supervision": "videos", "seed": 3}) == "videos"
    assert supervision_in({}) is None
    assert supervision_in({"supervision": 7}) is None


@pytest.mark.parametrize(
    ("card", "meta", "expected"),
    [
        (None, {}, None),  # scores of another program
        ({"seed": 0}, {}, "videos"),  # a run of before there were ceilings
        ({"supervision": "frames"}, {}, "frames"),
        (None, {"supervision": "frames"}, "frames"),  # its detector was deleted
        ({"supervision": "videos"}, {"supervision": "videos"}, "videos"),
    ],
)
def test_of_a_run(tmp_path: Path, card: dict[str, object] | None, meta: dict[str, object], expected: str) -> None:
    if card is not None:
        write_json(tmp_path / "seed-0" / "detector" / "detector.json", card)
    assert supervision_of(tmp_path, [ScoreFile([], meta)]) == expected


def test_of_a_score_file(tmp_path: Path) -> None:
    assert supervision_of(tmp_path / "scores.json", [ScoreFile([], {"supervision": "frames"})]) == "frames"
    assert supervision_of(tmp_path / "scores.csv", [ScoreFile([], {})]) is None
