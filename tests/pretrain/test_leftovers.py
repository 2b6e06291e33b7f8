"""Temporary files: those of dead processes are removed, all others stay."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pretrain.files import write_text
from pretrain.leftovers import OLD_SECONDS, look_again, machine, remove_leftovers, temporary_path


@pytest.fixture
def dead() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_only_those_of_dead_processes_are_removed(tmp_path: Path, dead: int) -> None:
    here, gone = machine(), OLD_SECONDS + 60
    kept = [
        f".events.{os.getpid()}-{here}.tmp.json",
        f".events.{psutil.Process().ppid()}-{here}.tmp.json",
        f".events.{dead}-00000000.tmp.json",  # of another machine, where that number may well be alive
        f"events.{dead}-{here}.tmp.json",  # not hidden: none of ours
        ".events.tmp.json",
        ".bashrc",
    ]
    removed = [
        f".events.{dead}-{here}.tmp.json",
        f".a.b.c.{dead}-{here}.tmp",
        f".an\nodd name.{dead}.tmp.mp4",
        f".long ago.{dead}-00000000.tmp.json",
        f".number given anew.{os.getpid()}-{here}.tmp.json",  # an earlier process of our number
    ]
    for name in (*kept, *removed):
        (tmp_path / name).touch()
    for name in removed[3:]:
        os.utime(tmp_path / name, (time.time() - gone, time.time() - gone))
    (tmp_path / f".step-1.{dead}-{here}.tmp" / "state").mkdir(parents=True)
    (tmp_path / f".link.{dead}-{here}.tmp").symlink_to(tmp_path / "events")
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
    remove_leftovers(tmp_path / "not there")


def test_whoever_writes_to_a_folder_tidies_it_first(tmp_path: Path, dead: int) -> None:
    look_again()
    leftover = tmp_path / f".old.{dead}-{machine()}.tmp.npy"
    leftover.touch()
    write_text(tmp_path / "new.txt", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["new.txt"]


def test_a_name_says_whose_it_is_and_keeps_the_suffix() -> None:
    assert temporary_path(Path("a/film.mp4")) == Path(f"a/.film.{os.getpid()}-{machine()}.tmp.mp4")
