from __future__ import annotations

import io
import sys

import pytest
from tqdm import tqdm

from pretrain.cli import run_command
from pretrain.plain_output import PlainStream, plain_output, untouched_output


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


def test_nothing_that_a_terminal_obeys_gets_through(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        print("name \x1b]0;title\x07 \u202e \udce9")
        print("left out: \x1b[2J", file=sys.stderr)
        return 0

    with pytest.raises(SystemExit):
        run_command(command)
    said = capsys.readouterr()
    assert said.out == r"name \x1b]0;title\x07 \u202e \xe9" + "\n"
    assert said.err == r"left out: \x1b[2J" + "\n"


def test_bars_still_move_on_a_terminal_and_a_title_is_not_set() -> None:
    stream = Terminal()
    plain = PlainStream(stream)
    plain.write("\r\x1b[K50 %\x1b[A\x1b]0;title\x07\x1b[2J")
    assert stream.getvalue() == "\r\x1b[K50 %\x1b[A\\x1b]0;title\\x07\\x1b[2J"
    for _ in tqdm(range(2), file=plain):  # type: ignore[type-var]
        pass
    assert "100%" in stream.getvalue()


def test_letters_that_the_terminal_has_not_are_escaped() -> None:
    binary = io.BytesIO()
    stream = io.TextIOWrapper(binary, encoding="ascii")
    PlainStream(stream).writelines(["café ", "東\n"])
    stream.flush()
    assert binary.getvalue() == b"caf\\xe9 \\u6771\n"


def test_streams_are_put_back() -> None:
    before = sys.stdout, sys.stderr
    with plain_output():
        assert isinstance(sys.stdout, PlainStream)
        with untouched_output():
            assert (sys.stdout, sys.stderr) == before
        assert isinstance(sys.stderr, PlainStream)
    assert (sys.stdout, sys.stderr) == before
