"""Ctrl-C is one line and status 130, whatever the command does, and whatever hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.paths import ROOT

START = """
import hashlib, sys, threading, time
from pretrain import interrupts
from pretrain.cli import run_command
interrupts.END_SECONDS = 0.5

def ready():
    print("ready", flush=True)

def sleeping():
    ready()
    time.sleep(600)

def hanging():  # in C, where Python is not asked; the signal comes once it hangs
    threading.Timer(0.5, ready).start()
    hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2**31 - 1)

def swallowing():
    told = False
    while True:
        try:
            told = told or ready() or True
            time.sleep(600)
        except KeyboardInterrupt:
            pass

def nap(seconds):
    time.sleep(seconds)

def working():
    from pretrain.data.worker_pool import map_unordered
    for _ in map_unordered(time.sleep, [0.0, 600.0, 600.0], 2, lambda item: None):
        ready()

def threads():
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(2) as pool:
        pool.submit(time.sleep, 600)
        ready()
        pool.submit(time.sleep, 600).result()

if __name__ == "__main__":
    run_command(globals()[sys.argv[1]])
"""


def interrupted(folder: Path, what: str) -> tuple[int, list[str]]:
    """Exit status and lines on stderr of a command that the terminal interrupts, with all that it started."""
    (folder / "command.py").write_text(START)
    command = [sys.executable, str(folder / "command.py"), what]
    return signalled(command, os.environ | {"PYTHONPATH": str(ROOT)})


def signalled(command: list[str], environment: Mapping[str, str]) -> tuple[int, list[str]]:
    """The same of any command, once it has printed that it is ready."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, start_new_session=True, text=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
    return process.returncode, err.splitlines()


@pytest.mark.parametrize("what", ["sleeping", "working"])
def test_it_is_one_line(tmp_path: Path, what: str) -> None:
    assert interrupted(tmp_path, what) == (130, ["stopped by Ctrl-C"])


@pytest.mark.parametrize("what", ["hanging", "swallowing", "threads"])
def test_what_does_not_leave_is_ended(tmp_path: Path, what: str) -> None:
    status, lines = interrupted(tmp_path, what)
    assert status == 130
    assert lines == ["stopped by Ctrl-C, 0 s after it was asked: something did not answer (a disk, a network?)"]


def test_it_is_one_line_while_pytorch_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("import time; print('ready', flush=True); time.sleep(600)")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    assert signalled([sys.executable, str(ROOT / "scripts" / "detect.py"), "x.mp4"], environment) == (
        130,
        ["stopped by Ctrl-C"],
    )
