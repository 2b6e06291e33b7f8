"""One run at a time in a folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from downstream.training.run_lock import only_run_in
from pretrain.errors import UserError
from tests.paths import ROOT


def test_one_run_at_a_time_in_a_folder(tmp_path: Path) -> None:
    with only_run_in(tmp_path), pytest.raises(UserError, match="another process is at work in"), only_run_in(tmp_path):
        pass
    with only_run_in(tmp_path):
        pass


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    code = "import sys, pathlib; from downstream.training.run_lock import only_run_in as lock\n"
    code += "with lock(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="another process is at work"), only_run_in(tmp_path):
            pass
        process.kill()
        process.wait()
    with only_run_in(tmp_path):
        pass
