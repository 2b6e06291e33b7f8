"""Ctrl-C and SIGTERM are heeded in every state, also where the main thread hangs in a read that never returns.

Python tells the main thread of a signal, and only between two of its instructions. Beside that, the number of each
signal is written to a socket at once; a thread reads it there, and ends the process where nothing else has in time.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

END_SECONDS = 10.0
"""How long a command has to leave after Ctrl-C."""
AGAIN_SECONDS = 0.5
"""A second Ctrl-C is one that comes so much later: a terminal and a launcher may both pass the first one on."""


class _Heeded(NamedTuple):
    handler: Callable[..., Any]
    seconds: float
    told: str


class _Countdown:
    """The end of this process, unless it is called off."""

    def __init__(self, seconds: float, status: int, told: str) -> None:
        self.began = self._moved = time.monotonic()
        self._off = threading.Event()
        self._seconds, self._status, self._told = seconds, status, told
        threading.Thread(target=self._count, daemon=True).start()

    def call_off(self) -> None:
        """The process goes on."""
        self._off.set()

    def begin_anew(self) -> None:
        """Something got done: it counts from here."""
        self._moved = time.monotonic()

    def _count(self) -> None:
        while (left := self._moved + self._seconds - time.monotonic()) > 0:
            if self._off.wait(left):
                return
        leave_at_once(self._status, self._told)


_heeded: dict[int, _Heeded] = {}
_running: list[_Countdown] = []


def heed(number: signal.Signals, handler: Callable[..., Any], seconds: float, told: str) -> None:
    """Handle a signal by `handler`; where that has not ended the process after `seconds`, it ends with `told`.

    `told` may hold {signal} and {seconds}. `note_progress` lets the seconds begin anew.
    """
    _heeded[number] = _Heeded(handler, seconds, told)
    signal.signal(number, handler)


def note_progress() -> None:
    """Something got done: where an end was set, its seconds begin anew."""
    for countdown in _running:
        countdown.begin_anew()


def give_time(seconds: float, status: int, told: str) -> None:
    """The process ends with `told` after so many seconds, not when it would have; only where an end was set."""
    if _running:
        end_within(seconds, status, told)


def end_within(seconds: float, status: int, told: str) -> None:
    """End this process after so many seconds, wherever it is then."""
    call_off()
    _running.append(_Countdown(seconds, status, told))


def call_off() -> None:
    """No end is set any more."""
    while _running:
        _running.pop().call_off()


@contextmanager
def heeding_signals() -> Iterator[None]:
    """Inside, Ctrl-C raises KeyboardInterrupt as ever; what does not leave then is ended, a second one ends at once.

    In the main thread alone, and where Ctrl-C is not ignored (as for commands in the background) or handled already.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    before_fd = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if before[signal.SIGINT] is signal.default_int_handler:
        told = "stopped by {signal}, {seconds:.0f} s after it was asked: something did not answer (a disk, a network?)"
        heed(signal.SIGINT, _interrupt, END_SECONDS, told)
    threading.Thread(target=_watch, args=(receiver,), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before_fd)
        for number, handler in before.items():  # training has its own, which would keep the next command from ending
            if number in _heeded and signal.getsignal(number) == _heeded[number].handler:
                signal.signal(number, handler)
        sender.close()


def leave_at_once(status: int, told: str) -> None:
    """End this process now, whatever hangs."""
    if told:
        os.write(2, f"{told}\n".encode())
    os._exit(status)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _watch(receiver: socket.socket) -> None:
    """Hear of every signal that reaches this process."""
    with receiver:
        while numbers := receiver.recv(64):
            for number in numbers:
                heeded = _heeded.get(number)
                if heeded is not None and signal.getsignal(number) == heeded.handler:
                    _begin_end(number, heeded)


def _begin_end(number: int, heeded: _Heeded) -> None:
    name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    if _running:
        if number == signal.SIGINT and time.monotonic() - _running[-1].began > AGAIN_SECONDS:
            leave_at_once(128 + number, f"stopped at once by a second {name}")
        return
    told = heeded.told.format(signal=name, seconds=heeded.seconds)
    _running.append(_Countdown(heeded.seconds, 128 + number, told))
