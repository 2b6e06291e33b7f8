"""Imports run one way: between the layers of the tree, and between the packages of downstream."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

LAYERS = ["pretext_tasks", "pretrain", "downstream", "demo", "scripts", "anomaly_pretext"]
# downstream stands on what pretraining shares, not on how it trains
CLOSED_TO_DOWNSTREAM = {"pretrain.train", "pretrain.model"}
PACKAGES = [
    *("features", "scores", "detector", "runs", "references", "events", "evaluation", "visualisation"),
    *("training", "normality", "report", "analysis", "detection", "ablation", "comparison", "doctor"),
]
"""Of downstream, in the one order in which they stand on each other."""


def imported(path: Path) -> set[str]:
    """Absolute names of the modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("layer", LAYERS)
def test_no_layer_imports_one_above_it(layer: str) -> None:
    above = LAYERS[LAYERS.index(layer) + 1 :]
    files = sorted((ROOT / layer).rglob("*.py"))
    assert files
    for path in files:
        found = imported(path)
        upward = {name for name in found if name.split(".")[0] in (*above, "tests", "benchmarks")}
        assert not upward, f"{path.relative_to(ROOT)} imports {sorted(upward)}"
        if layer == "downstream":
            assert not found & CLOSED_TO_DOWNSTREAM, path


def test_every_package_of_downstream_has_its_place() -> None:
    there = {path.parent.name for path in (ROOT / "downstream").glob("*/__init__.py")}
    assert there == set(PACKAGES)
    assert not [path.name for path in (ROOT / "downstream").glob("*.py") if path.name != "__init__.py"]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_of_downstream_imports_one_above_it(package: str) -> None:
    above = PACKAGES[PACKAGES.index(package) + 1 :]
    files = sorted((ROOT / "downstream" / package).rglob("*.py"))
    assert files
    for path in files:
        parts = [name.split(".") for name in imported(path) if name.startswith("downstream.")]
        upward = {".".join(part) for part in parts if part[1] in above}
        assert not upward, f"{path.relative_to(ROOT)} imports {sorted(upward)}"


def loaded_by(statement: str) -> set[str]:
    """Modules of ours that a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split() if name.split(".")[0] in LAYERS}


LOOKS_AT_RESULTS = [
    *("downstream.analysis.evaluate_runs", "downstream.analysis.localise", "downstream.report.command"),
    *("downstream.detection.detect", "downstream.detection.calibrate"),
]
"""What scripts/evaluate.py, localise.py, report.py, detect.py and calibrate.py load once their arguments are known."""


def test_what_looks_at_results_loads_no_training_code() -> None:
    loaded = loaded_by(f"import {', '.join(LOOKS_AT_RESULTS)}")
    assert "downstream.evaluation.temporal_evaluation" in loaded
    assert not [name for name in loaded if name.startswith(("downstream.training", "downstream.ablation"))]


def test_the_test_notices_an_upward_import(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text("def f():\n    from scripts.detect import main\n")
    assert imported(file) == {"scripts.detect"}


VIDEO = "pretrain.data.video"
INSIDE_VIDEO = {"benchmarks/input_ways.py": "compares ways of reading: it plans the default reader's runs by hand"}
"""Files that import inner modules of the video package all the same, and why. Its own tests may."""


def test_nobody_imports_the_insides_of_the_video_package() -> None:
    own = (ROOT / "pretrain/data/video", ROOT / "tests/pretrain/data/video")
    reaching = set()
    for path in sorted(file for top in (*LAYERS, "benchmarks", "tests") for file in (ROOT / top).rglob("*.py")):
        if not any(path.is_relative_to(folder) for folder in own) and any(
            name.startswith(f"{VIDEO}.") for name in imported(path)
        ):
            reaching.add(path.relative_to(ROOT).as_posix())
    assert reaching == set(INSIDE_VIDEO)


USES_FEATURES = ["downstream.features.extract", "downstream.detector.inference", "downstream.detection.detect"]


@pytest.mark.parametrize("module", USES_FEATURES)
def test_making_and_using_features_loads_no_pretext_task(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(name for name in sys.modules if name.startswith('pretext_tasks')))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
