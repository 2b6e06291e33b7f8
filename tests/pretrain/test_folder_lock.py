"""One writer a folder, whoever it is."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pretrain import folder_lock
from pretrain.errors import UserError
from pretrain.folder_lock import LOCK_FILE, SILENT_SECONDS, only_writer_in
from tests.paths import ROOT

HOLD = """
import pathlib, sys
from pretrain.folder_lock import only_writer_in
with only_writer_in(pathlib.Path(sys.argv[1])):
    print('held', flush=True)
    sys.stdin.read()
"""


def refused(folder: Path) -> str:
    with pytest.raises(UserError, match="another process is at work in") as told, only_writer_in(folder):
        pass
    return str(told.value)


def test_one_writer_at_a_time_and_nothing_left_behind(tmp_path: Path) -> None:
    with only_writer_in(tmp_path / "a" / "b"):
        refused(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    with only_writer_in(tmp_path / "a"):
        (tmp_path / "a" / "written").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["written"]


def test_the_loser_is_told_who_writes_and_a_killed_process_lets_go(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert f"process {process.pid} on " in refused(tmp_path)
        leftover = tmp_path / "deep" / f".events.{process.pid}.tmp.json"
        leftover.parent.mkdir()
        leftover.touch()
        process.kill()
        process.wait()
    with only_writer_in(tmp_path):
        assert not leftover.exists()
    assert not (tmp_path / LOCK_FILE).exists()


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    with only_writer_in(tmp_path):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:  # pragma: no cover - another process
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
        os.close(reading)
    try:
        with only_writer_in(tmp_path):
            pass
    finally:
        os.close(writing)
        os.waitpid(child, 0)


def held_by(folder: Path, age: float, **changes: object) -> None:
    """A lock file as another process wrote it, with its last sign of life so many seconds ago."""
    holder = {"command": "pretrain.py", "process": 17, "host": "node7", "started": time.time() - 100.0}
    file = folder / LOCK_FILE
    file.write_text(json.dumps(holder | {"machine": "00000000", "kernel": "00000000"} | changes))
    os.utime(file, (time.time() - age, time.time() - age))


def test_another_machine_counts_as_long_as_it_gives_signs_of_life(tmp_path: Path) -> None:
    held_by(tmp_path, age=5)
    assert "(pretrain.py, process 17 on node7, since " in (told := refused(tmp_path))
    assert "if that machine was switched off, try again after 60 s" in told
    held_by(tmp_path, age=SILENT_SECONDS + 5)
    with only_writer_in(tmp_path):
        assert json.loads((tmp_path / LOCK_FILE).read_text())["process"] == os.getpid()


def test_a_disk_without_locks_goes_by_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(folder_lock.fcntl, "flock", no_locks)
    with only_writer_in(tmp_path):
        refused(tmp_path)
    here = {"machine": folder_lock.machine(), "kernel": folder_lock.kernel()}
    held_by(tmp_path, 0, process=2**22 + 1, **here)  # no such process
    with only_writer_in(tmp_path):
        pass


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"started": "x", "host": 3}', "[" * 3000])
def test_a_damaged_lock_file_stops_nobody(tmp_path: Path, content: str) -> None:
    (tmp_path / LOCK_FILE).write_text(content)
    os.utime(tmp_path / LOCK_FILE, (0, 0))
    with only_writer_in(tmp_path):
        refused(tmp_path)
