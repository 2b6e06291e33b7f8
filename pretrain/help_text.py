"""Paragraphs of --help are wrapped to the terminal: tyro wraps what stands in its boxes, and these not at all."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

WIDEST = 120
"""Letters in a line that anybody likes to read."""


class _Wrapped:
    """A text stream whose long lines of words are broken; in all else the stream that it stands for."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        width = min(WIDEST, shutil.get_terminal_size().columns)
        self._stream.write("\n".join(wrapped_line(line, width) for line in text.split("\n")))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def wrapped_line(line: str, width: int) -> str:
    """A paragraph in lines of at most so many letters. Others stay: commands are indented, boxes have a side, colours
    begin with an escape."""
    if len(line) <= width or not line[:1].isalpha() or line.startswith("usage:"):
        return line
    return textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)


@contextmanager
def wrapped_paragraphs() -> Iterator[None]:
    """Within, what is printed on stdout is wrapped."""
    before = sys.stdout
    sys.stdout = cast(TextIO, _Wrapped(before))
    try:
        yield
    finally:
        sys.stdout = before
