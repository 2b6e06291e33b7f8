"""Disk space is taken before a memory map is written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pretrain.files import reserve


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
