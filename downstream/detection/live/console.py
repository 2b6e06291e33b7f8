"""What somebody who watches a stream sees: lines that stay, a status line that is written anew; and a way to stop.

On a terminal a line says the time of day of what it tells; in a log (journald, docker, a file) every line begins with
the whole time, ISO 8601 with the offset here: `2026-11-27T02:15:09.120+01:00 event 1 began at ...`.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from downstream.detection.live.wall_clock import iso, time_of_day
from pretrain.files import json_text

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class RunConsole(Protocol):
    """What a run says something to."""

    @property
    def is_terminal(self) -> bool:
        """Whether somebody sees a status line that is written anew."""
        ...

    @property
    def is_broken(self) -> bool:
        """Whether nobody reads it any more."""
        ...

    def say(self, text: str, when: float | None = None) -> None:
        """Lines that stay, and the time that they tell of, in seconds since 1970."""
        ...

    def record(self, values: Mapping[str, Any]) -> None:
        """For programs, if any."""
        ...

    def status(self, text: str) -> None:
        """How it goes."""
        ...


class Console:
    """Lines for people on stdout, or on stderr where stdout is for programs; the status on stderr. Thread-safe."""

    def __init__(self, is_json: bool) -> None:
        self.is_json = is_json
        self.is_broken = False
        """Whether nobody reads stdout any more (`| head`)."""
        self.is_terminal = sys.stderr.isatty()
        self._is_log = not (sys.stderr if is_json else sys.stdout).isatty()
        self._has_status = False
        self._lock = threading.Lock()

    def say(self, text: str, when: float | None = None) -> None:
        """Lines that stay. `when`: the time that they tell of, in seconds since 1970; None: no particular one."""
        if self._is_log:
            text = _stamped(text, when)
        elif when is not None:
            text = f"{time_of_day(when)}  {text}"
        with self._lock:
            self._clear()
            self._print(text, is_out=not self.is_json)

    def record(self, values: Mapping[str, Any]) -> None:
        """For programs, if any: an object on a line of stdout."""
        if self.is_json:
            with self._lock:
                self._print(json_text(values), is_out=True)

    def status(self, text: str) -> None:
        """One line, in place of the last status on a terminal; else a line like others."""
        with self._lock:
            self._clear()
            if self.is_terminal:
                text = text[: shutil.get_terminal_size().columns - 1]
                self._has_status = True
            else:
                text = _stamped(text)
            print(text, end="" if self.is_terminal else "\n", file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self._has_status:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._has_status = False

    def _print(self, text: str, is_out: bool) -> None:
        try:
            print(text, file=sys.stdout if is_out else sys.stderr, flush=True)
        except BrokenPipeError:
            # the files are finished all the same; what follows goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self.is_broken = True


def _stamped(text: str, when: float | None = None) -> str:
    """Each line with its time; None: now."""
    stamp = iso(time.time() if when is None else when)
    return "\n".join(f"{stamp} {line}" for line in text.split("\n"))


@contextmanager
def stop_signals(received: list[str] | None = None) -> Iterator[list[str]]:
    """Ctrl-C, SIGTERM and a closed terminal are noted here while this lasts, and do nothing else.

    In other threads than the main one nothing can be noted.
    """
    received = [] if received is None else received
    previous: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in _SIGNALS:
            number = getattr(signal, name, None)  # not all on every system
            # nohup has it ignored, and means it
            if number is None or (name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN):
                continue
            previous[number] = signal.signal(number, lambda number, _: received.append(signal.Signals(number).name))
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
