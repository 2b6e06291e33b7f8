"""The console: who reads what, a status line that never mixes with others, readers that leave, signals."""

from __future__ import annotations

import io
import json
import os
import signal
from datetime import datetime

import pytest

from downstream.detection.live.console import Console, stop_signals


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_words_go_to_stderr_where_stdout_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    for is_json in (False, True):
        console = Console(is_json)
        console.say("words\nmore")
        console.record({"number": 1, "stream": "Tür"})
        console.status("status")
        said = capsys.readouterr()
        assert texts(said.err) == (["words", "more", "status"] if is_json else ["status"])
        assert said.out == '{"number": 1, "stream": "Tür"}\n' if is_json else texts(said.out) == ["words", "more"]
    assert json.loads(said.out)["number"] == 1


def texts(log: str) -> list[str]:
    """Lines of a log without their times, which must be whole and say their offset."""
    pairs = [line.split(" ", 1) for line in log.splitlines()]
    assert all(datetime.fromisoformat(stamp).utcoffset() is not None for stamp, _ in pairs)
    return [text for _, text in pairs]


def test_a_log_has_the_time_that_a_line_tells_of(capsys: pytest.CaptureFixture[str]) -> None:
    Console(False).say("event\nmore", 1_700_000_000.25)
    stamps = [line.split(" ")[0] for line in capsys.readouterr().out.splitlines()]
    assert [datetime.fromisoformat(stamp).timestamp() for stamp in stamps] == [1_700_000_000.25] * 2


def test_on_a_terminal_it_is_the_time_of_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    console = Console(False)
    console.say("opening")
    console.say("event\nmore", 1_700_000_000.25)
    clock = datetime.fromtimestamp(1_700_000_000.25).strftime("%H:%M:%S")
    assert screen.getvalue() == f"opening\n{clock}  event\nmore\n"


def test_on_a_terminal_the_status_is_written_anew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("COLUMNS", "10")
    console = Console(False)
    console.status("0:00:01 score 0.1")
    console.status("0:00:02 score 0.2")
    console.say("event")
    console.say("event")
    assert screen.getvalue() == "0:00:01 s\r\x1b[K0:00:02 s\r\x1b[K"  # never wider than the screen, gone before words
    assert texts(capsys.readouterr().out) == ["event", "event"]


def test_a_reader_that_leaves_is_noticed_and_nothing_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as nobody:
        monkeypatch.setattr("sys.stdout", nobody)
        console = Console(False)
        console.say("event")
        assert console.is_broken
        console.say("event")  # goes nowhere


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_are_noted_and_then_do_what_they_did(name: str) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with stop_signals() as received:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    assert received == [name, name]
    assert signal.getsignal(number) == before
