from __future__ import annotations

from pathlib import Path

import pytest

from tests.downstream.detection.world import build_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `world.build_world`; nobody changes it."""
    return build_world(tmp_path_factory.mktemp("detection"))
