"""What tests of the benchmark of faults share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder in which writers and readers stand."""
    folder = tmp_path / "world"
    folder.mkdir()
    return folder
