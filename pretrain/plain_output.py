"""What a command prints can be obeyed by no terminal, whatever names hold, and never ends it by a letter it lacks."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from pretrain.names import shown_lines

_OF_BARS = re.compile(r"(\r|\x1b\[[0-9;]*[AKm])")
"""Moves and colours of progress bars; nothing else of a terminal's language is let through, to files not even these."""


class PlainStream:
    """A text stream that shows what it is given as `shown_lines` does; in all else the stream that it wraps."""

    def __init__(self, stream: TextIO) -> None:
        self.wrapped = stream

    def write(self, text: str) -> int:
        """Write, with escapes in place of what a terminal would obey and of letters that its encoding has not."""
        parts = _OF_BARS.split(text) if self.wrapped.isatty() else [text]
        plain = "".join(part if number % 2 else shown_lines(part) for number, part in enumerate(parts))
        encoding = self.wrapped.encoding or "utf-8"
        self.wrapped.write(plain.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)


@contextmanager
def plain_output() -> Iterator[None]:
    """Within, stdout and stderr are plain streams."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, PlainStream(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


@contextmanager
def untouched_output() -> Iterator[None]:
    """Within `plain_output`, the streams as they were: for a library that writes no names but colours."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (stream.wrapped if isinstance(stream, PlainStream) else stream for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
