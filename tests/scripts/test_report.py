"""The command that makes a report of a finished run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scripts.report import main


def test_a_report_of_a_run(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "page" / "report.html"
    with pytest.raises(SystemExit) as left:
        main([str(world / "run"), "--out", str(out), "--min-seconds", "0.2"])
    assert left.value.code == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    text = out.read_text(encoding="utf-8")
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert match is not None
    data = json.loads(match[1])
    assert [video["name"] for video in data["videos"]] == [f"v{number}" for number in range(16, 22)]
    assert data["rule"]["min_seconds"] == 0.2
    for number, video in enumerate(data["videos"]):
        assert video["pictures"]
        assert f'id="pictures-{number}"' in text
        assert video["pictures"][0]["alt"].startswith("Frame, and beside it contours")
        assert (out.parent / video["link"]).resolve().is_file()
        assert bool(video["spans"]) == bool(video["label"])


def test_a_given_threshold(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    with pytest.raises(SystemExit):
        main([str(world / "run"), "--out", str(out), "--threshold", "0.75", "--release", "0.75", "--thumbnails", "0"])
    text = out.read_text(encoding="utf-8")
    assert '"rule":{"threshold":0.75,"release":0.75,' in text
    assert "given on the command line" in text
    assert 'id="pictures-' not in text


def test_a_folder_that_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([str(tmp_path)])
    assert left.value.code == 2
    assert "holds no config.json: give a run folder of scripts/finetune.py" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
