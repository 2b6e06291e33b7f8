from __future__ import annotations

from pathlib import Path

import pytest

from tests.downstream.toy_videos import make_toy_videos


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 training and 12 test videos whose anomalies stand out in the first number; a feature set and a catalogue."""
    folder = tmp_path_factory.mktemp("world")
    make_toy_videos(folder)
    return folder
