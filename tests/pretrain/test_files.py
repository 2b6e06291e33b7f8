"""Files that are whole or not there, and disk space that is taken before a memory map is written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pretrain.files import replacing, reserve


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system has no posix_fallocate")
def test_reserve_takes_the_space_and_says_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "array.npy"
    with open(file, "wb") as opened:
        opened.truncate(1 << 20)
    before = file.stat().st_blocks
    reserve(file)
    assert before < file.stat().st_blocks >= (1 << 20) // 512

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*array.npy'"):
        reserve(file)


def test_a_full_disk_names_the_file_and_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("before")

    def write() -> None:
        with replacing(target) as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*table.csv'"):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]
    assert target.read_text() == "before"
