"""A small set, rendered once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from demo.world.build import build_demo_set

Truth = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cameras with two videos each; not to be changed."""
    root = tmp_path_factory.mktemp("demo") / "set"
    assert build_demo_set(root, seed=3, cameras=2, videos_per_camera=2, workers=1)
    return root


@pytest.fixture
def truth(small_set: Path) -> Truth:
    """What its ground truth says of each video."""
    return read_truth(small_set)


def read_truth(root: Path) -> Truth:
    """Video name -> what the ground truth of a set says of it."""
    return json.loads((root / "annotations" / "ground_truth.json").read_text())["videos"]
