"""--help fits the terminal, and what is to be copied from it stays in one line."""

from __future__ import annotations

from itertools import takewhile

import pytest

from downstream.detection.config import DetectConfig
from pretrain.cli import parse


@pytest.mark.parametrize("columns", [60, 80, 140, 200])
def test_no_paragraph_is_wider_than_the_terminal_and_commands_are_whole(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit) as left:
        parse(DetectConfig, ["--help"], "detect.py")
    assert left.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    above = list(takewhile(lambda line: line[:1] not in ("╭", "+", "|"), lines))[1:]
    assert max(len(line) for line in above if not line.startswith(" ")) <= min(columns, 120)
    assert " ".join(" ".join(above).split()).startswith(
        "Score videos, folders of videos, folders of frames or a camera, and say what was found. Writes "
        "OUT/events.json, OUT/scores.csv, OUT/report.html and films of what scored highest. Exit status: 0 all was "
        "scored, 1 some videos could not be, 2 the command itself was wrong, nothing could be scored or a film not"
    )
    assert "    python scripts/detect.py recordings/ --detector package/ --out found/ --films 5" in lines
