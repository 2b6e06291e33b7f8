"""torchrun's agent closes with our line: real processes, on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pretrain.cli import run_command
from pretrain.elastic import ERROR_FILE, tell_agent
from tests.paths import ROOT

SCRIPT = """
from dataclasses import dataclass
from pretrain.cli import run_script
from pretrain.errors import UserError

@dataclass(frozen=True)
class Config:
    limit: int = 3

def command(config):
    raise UserError(f"the limit is {config.limit}\\nand not 4")

run_script("script.py", Config, command, several_processes=True)
"""


def test_the_agents_last_words_are_ours(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [*(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [*command, str(tmp_path / "script.py")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    *_, root_cause = done.stderr.partition("Root Cause (first observed failure):\n")
    told, rule = root_cause.rstrip().rsplit("\n", 1)
    assert told.endswith("traceback : error: the limit is 3\n  and not 4"), done.stderr
    assert set(rule) == {"="}
    assert done.stderr.count("Traceback") == 1, done.stderr  # the agent's own


def test_a_fault_of_the_program_is_told_with_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> int:
        raise ZeroDivisionError("in the program")

    monkeypatch.setenv(ERROR_FILE, str(tmp_path / "error.json"))
    with pytest.raises(ZeroDivisionError):
        run_command(command)
    told = json.loads((tmp_path / "error.json").read_text())["message"]["message"].splitlines()
    assert (told[0], told[-1]) == ("Traceback (most recent call last):", "ZeroDivisionError: in the program")


def test_what_the_agent_prints_is_obeyed_by_no_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ERROR_FILE, str(tmp_path / "error.json"))
    tell_agent("error: \x1b[2Jname")
    message = json.loads((tmp_path / "error.json").read_text())["message"]
    assert "\x1b" not in message["message"]
    assert int(message["extraInfo"]["timestamp"]) > 0


def test_without_an_agent_or_its_folder_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ERROR_FILE, raising=False)
    tell_agent("x")
    monkeypatch.setenv(ERROR_FILE, str(tmp_path / "gone" / "error.json"))
    tell_agent("x")
    assert list(tmp_path.iterdir()) == []
