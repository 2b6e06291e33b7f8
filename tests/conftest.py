"""What tests of several packages use, made once."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def located_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos, features of cells and finished runs (see `build_world`); not to be changed."""
    from tests.scripts.located_world import build_world  # late: most tests need neither it nor what trains

    root = tmp_path_factory.mktemp("located")
    build_world(root)
    return root
