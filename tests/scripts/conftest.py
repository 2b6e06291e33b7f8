from __future__ import annotations

from pathlib import Path

import pytest

from tests.downstream.detection import world as detection


@pytest.fixture
def world(located_world: Path) -> Path:
    """A short name for it."""
    return located_world


@pytest.fixture(scope="session")
def trained_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos, a backbone and runs on its features (see `detection.build_world`); not to be changed."""
    return detection.build_world(tmp_path_factory.mktemp("trained"))
