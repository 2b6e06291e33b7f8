"""Where text goes: a file that appears when all of it is written, or one that grows by whole lines."""

from __future__ import annotations

import io
from pathlib import Path

from pretrain.files import write_text


class WholeFile:
    """A file that is written at the end, under a temporary name, and renamed: a reader sees all of it or none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = io.StringIO()

    def write(self, text: str) -> None:
        """Add to the end; on disk by `finish`."""
        self._text.write(text)

    def finish(self) -> None:
        """The text is complete. OSError naming the file; what was there before is there then."""
        write_text(self.path, self._text.getvalue())

    def close(self) -> None:
        """Nothing more is written; what was not finished is forgotten."""
        self._text.close()


class Journal:
    """A new file that grows by whole lines: a line is there or it is not, also where the disk is full."""

    def __init__(self, path: Path) -> None:
        """FileExistsError where there is one already."""
        self.path = path
        self._file = open(path, "xb", buffering=0)  # noqa: SIM115 (closed by `close`)
        self._size = 0

    def write(self, text: str) -> None:
        """Write a line, with its line break, at once. OSError naming the file; it then ends with the line before."""
        data = text.encode()
        try:
            written = self._file.write(data)
            while written < len(data):
                written += self._file.write(data[written:])
        except OSError as error:
            self._file.truncate(self._size)
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        self._size += len(data)

    def finish(self) -> None:
        """All lines are there already."""

    def close(self) -> None:
        """Nothing more is written."""
        self._file.close()
