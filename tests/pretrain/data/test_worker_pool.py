from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pretrain.data.worker_pool import map_unordered
from tests.paths import ROOT


def _square(number: int) -> int:
    if number == 13:
        os._exit(1)  # what a crashing decoder does
    if number < 0:
        raise ValueError("negative")
    return number * number


def test_every_item_once_and_a_crash_costs_one() -> None:
    got = list(map_unordered(_square, range(20), 2, lambda number: -number))
    assert sorted(got) == sorted(-13 if number == 13 else number * number for number in range(20))


def test_a_crash_between_two_results_loses_nothing() -> None:
    """The pool is found broken when the next item is handed to it, not when a result is waited for."""
    got = []
    for result in map_unordered(_square, [1, 13, 2, 3, 4], 1, lambda number: -number):
        got.append(result)
        if result == 1:
            for child in multiprocessing.active_children():  # 13 is next, and ends it
                child.join(30)
            time.sleep(0.5)  # the pool's own thread needs a moment to see that
    assert sorted(got) == [-13, 1, 4, 9, 16]


def test_exceptions_come_out() -> None:
    with pytest.raises(ValueError, match="negative"):
        list(map_unordered(_square, [-1], 1, lambda number: number))


KILLED_AT_ONCE = """
import multiprocessing, os, signal, time
from concurrent.futures import ProcessPoolExecutor
from pretrain.data.worker_pool import begin_worker

if __name__ == "__main__":
    pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"), initializer=begin_worker)
    pool.submit(time.sleep, 60)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_whose_parent_is_killed_while_they_are_loaded_end_too(tmp_path: Path) -> None:
    (tmp_path / "killed.py").write_text(KILLED_AT_ONCE)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(tmp_path / "killed.py")]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False, timeout=60)
    workers = [int(pid) for pid in done.stdout.split()]
    assert workers
    end = time.monotonic() + 30
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in workers):
        assert time.monotonic() < end, workers
        time.sleep(0.1)
