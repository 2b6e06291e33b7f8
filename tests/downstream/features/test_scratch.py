"""Scratch arrays: zeros that take what is written, in memory or in a file without a name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from downstream.features import scratch
from downstream.features.scratch import drop_pages, scratch_array
from pretrain.errors import UserError


@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_what_is_written_stays_when_its_pages_are_dropped(limit: int) -> None:
    array = scratch_array((50, 3, 4), np.float32, limit)
    assert array.shape == (50, 3, 4)
    assert not array.any()
    expected = np.random.default_rng(0).normal(size=(50, 3, 4)).astype(np.float32)
    for start in range(0, 50, 7):
        array[start : start + 7] = expected[start : start + 7]
        drop_pages(array)
    assert np.array_equal(array, expected)


def test_a_large_one_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    array = scratch_array((10, 10), np.float32, 0)
    assert isinstance(array, np.memmap)
    assert list(tmp_path.iterdir()) == []


def test_it_is_no_memory_of_the_process() -> None:
    """512 MB are filled and dropped; the process never holds a fifth of that."""
    program = (
        "import numpy as np, psutil\n"
        "from downstream.features.scratch import drop_pages, scratch_array\n"
        "rss = psutil.Process().memory_info\n"
        "before, most = rss().rss, 0\n"
        "array = scratch_array((512, 1 << 18), np.float32)\n"
        "for row in range(512):\n"
        "    array[row] = row\n"
        "    if row % 16 == 15: most = max(most, rss().rss); drop_pages(array)\n"
        "assert array[300, 7] == 300\n"
        "print((most - before) >> 20)\n"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert int(output) < 100


def test_a_full_disk_is_said_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, os.strerror(28), str(path))

    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "reserve", full)
    with pytest.raises(UserError, match=r"has no room for 0\.4 GB .* set TMPDIR"):
        scratch_array((1000, 100_000), np.float32, 0)
    assert list(tmp_path.iterdir()) == []
