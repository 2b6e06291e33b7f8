"""Tables as text (CSV): a line as every program reads it, and reading those of others with their habits.

Written are commas, `\\n`, UTF-8. Read are commas, semicolons or tabs (by the first line), a byte order mark, Windows
line ends, whole numbers as `450.0`, decimal commas where the cells are parted by semicolons.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TextIO

from pretrain.errors import UserError
from pretrain.names import NOT_UTF8, read_back
from pretrain.reading import LIST_BYTES, Unreadable, open_regular

_FORMULA = re.compile(r"'*\s*[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
DELIMITERS = ",;\t"


def table_line(cells: Iterable[str | float | None]) -> str:
    """One line, with its line break. Text that a spreadsheet would compute, a name that begins with `=`, `+`, `-` or
    `@`, gets an apostrophe before it, as one types it there; `cell_text` takes it away. Numbers are as they are."""
    text = io.StringIO()
    # "\r\n" here, because the writer puts a line break in quotes only where it is part of the line's end
    csv.writer(text, lineterminator="\r\n").writerow([_cell(cell) if isinstance(cell, str) else cell for cell in cells])
    return text.getvalue().removesuffix("\r\n") + "\n"


def _cell(text: str) -> str:
    if NOT_UTF8.search(text) or read_back(text) != text:
        text = json.dumps(text)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def cell_text(cell: str) -> str:
    """The text that `table_line` made the cell of; any other cell is as it is."""
    if cell[:1] == "'" and _FORMULA.match(cell[1:]):
        cell = cell[1:]
    return read_back(cell)


class Table:
    """The rows of an open table below its first line, which names the columns."""

    def __init__(self, file: TextIO, path: Path) -> None:
        """`file`: opened by `open_table`. UserError where the first line is no CSV."""
        first = file.readline()
        self.delimiter = max(DELIMITERS, key=first.count)
        self._rows = csv.reader(_lines(first, file, path), delimiter=self.delimiter, strict=True)
        self.path = path
        self.header = [column.strip() for column in next(self.rows(), [])]

    @property
    def line(self) -> int:
        """The number of the line that was read last, from 1."""
        return self._rows.line_num

    def rows(self) -> Iterator[list[str]]:
        """Each row's cells. UserError where it is no CSV."""
        try:
            yield from self._rows
        except csv.Error as error:
            raise UserError(f"{self.path} is not CSV (line {self.line}: {error}); save it as CSV in UTF-8") from error

    def number(self, cell: str) -> float:
        """A number, with a decimal comma where cells are parted by semicolons; ValueError where it is none."""
        return float(cell.replace(",", ".") if self.delimiter == ";" else cell)


def _lines(first: str, file: TextIO, path: Path) -> Iterator[str]:
    for number, line in enumerate(chain([first], file), start=1):
        if "\0" in line:  # no name of a file has one
            raise UserError(f"{path} is not CSV text in UTF-8 (line {number} has a byte that is 0); save it again")
        yield line


def open_table(path: Path) -> TextIO:
    """The file as text: names in it that are not UTF-8 are read as the bytes they are.

    OSError as `open`, and for what is no regular file or larger than `LIST_BYTES`. UserError for UTF-16, as
    spreadsheets save "Unicode text".
    """
    try:
        binary = open_regular(path, LIST_BYTES)
    except Unreadable as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise OSError(errno.EINVAL, str(error), str(path)) from None
    start = binary.peek(4)[:4]
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in start:
        binary.close()
        raise UserError(f"{path} is not CSV text in UTF-8 (it is UTF-16 or no text); save it as CSV in UTF-8")
    return io.TextIOWrapper(binary, newline="", encoding="utf-8-sig", errors="surrogateescape")


def whole_number(text: str) -> int:
    """`450` and `450.0` (as programs write a column with gaps) as 450; ValueError for anything else."""
    try:
        return int(text)
    except ValueError:
        value = float(text)
        if not value.is_integer() or abs(value) >= 2**53:
            raise ValueError(f"'{text}' is not a whole number") from None
        return int(value)
