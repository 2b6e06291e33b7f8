"""Journals hold whole lines whatever happens; whole files are there when they are finished, and not before."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from downstream.detection.writers.sinks import Journal, WholeFile


class FullDisk:
    """Takes so many bytes, then no more."""

    def __init__(self, file: object, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = data[: self.room]
        self.room -= len(taken)
        return self.file.write(taken)  # type: ignore[attr-defined, no-any-return]

    def truncate(self, size: int) -> None:
        self.file.truncate(size)  # type: ignore[attr-defined]

    def close(self) -> None:
        self.file.close()  # type: ignore[attr-defined]


def test_a_full_disk_leaves_whole_lines_and_is_said_with_the_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    journal.write("first\n")
    journal._file = FullDisk(journal._file, 4)  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space left on device") as full:
        journal.write("second\n")
    assert full.value.filename == str(tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").read_text() == "first\n"
    journal.close()


def test_a_journal_takes_no_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("of before")
    with pytest.raises(FileExistsError):
        Journal(tmp_path / "a.jsonl")


def test_a_whole_file_replaces_what_was_there_when_it_is_finished(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("of before")
    unfinished = WholeFile(tmp_path / "a.json")
    unfinished.write("half")
    unfinished.close()
    file = WholeFile(tmp_path / "a.json")
    file.write("Tür,")
    file.write("1\n")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.json", "of before")]
    file.finish()
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("a.json", "Tür,1\n")]
