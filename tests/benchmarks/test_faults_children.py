"""Children of the benchmark of faults: every way to fall is told from a message."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import faults_children
from pretrain.errors import UserError

SHORT = faults_children.Limits(cpu_seconds=1, wall_seconds=10, idle_seconds=1, memory_mb=400)


def child(work: Callable[[], Any], root: Path) -> faults_children.Outcome:
    return faults_children.run_child(work, root, SHORT)


def test_a_child_answers_where_it_stands_and_its_words_are_kept(root: Path) -> None:
    def work() -> str:
        print("said this")
        return os.getcwd()

    outcome = child(work, root)
    assert (outcome.kind, outcome.value, outcome.status, outcome.last_words) == ("data", str(root), 0, "said this")


def test_every_way_to_fall_is_told_from_a_message(root: Path) -> None:
    def refuse() -> None:
        raise UserError("x is 3; it must be 2")

    def break_down() -> None:
        raise KeyError("format")

    def spin() -> None:
        while True:
            pass

    def wait() -> None:
        time.sleep(60)

    def grow() -> None:
        bytearray(2 << 30)

    def crash() -> None:
        os.kill(os.getpid(), signal.SIGSEGV)

    def mumble() -> int:
        return 3

    def in_a_thread() -> None:
        import threading

        threading.Thread(target=break_down).start()

    outcomes = [child(work, root) for work in (refuse, break_down, spin, wait, grow, crash, mumble, in_a_thread)]
    wanted = ["message", "traceback", "hang", "hang", "memory", "crash", "silent", "traceback"]
    assert [outcome.kind for outcome in outcomes] == wanted
    assert outcomes[0].last_words == "error: x is 3; it must be 2"
    assert outcomes[1].last_words == "KeyError: 'format'"


def test_a_child_ends_as_an_interpreter_does(root: Path) -> None:
    def work() -> None:
        import atexit

        atexit.register(lambda: Path("left").touch())

    assert child(work, root).kind == "data"
    assert (root / "left").exists()
