"""The command that renders the demonstration videos."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT


@pytest.mark.parametrize("way", [["-m", "scripts.make_demo_videos"], ["scripts/make_demo_videos.py"]])
def test_command_line_says_what_is_wrong(tmp_path: Path, way: list[str]) -> None:
    command = [sys.executable, *way, str(tmp_path / "set"), "--cameras", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.rstrip().splitlines()[-1].startswith("error: --cameras is 1;")
    assert "Traceback" not in done.stderr
