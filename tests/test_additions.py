"""What an addition touches: sample patches in tests/patches, applied to a copy of the tree and used.

A sample more is its patch (`git diff > tests/patches/new_THING.patch`) and a line in `ADDITIONS`. What a patch touches
beside tests and documentation is what CONTRIBUTING.md promises. A patch that no longer applies is made again.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.downstream.toy_videos import make_toy_videos

ROOT = Path(__file__).resolve().parents[1]
PATCHES = ROOT / "tests" / "patches"
COPIED = ("pretext_tasks", "pretrain", "downstream", "demo", "scripts", "benchmarks", "tests", "configs", "docs")
COPIED += ("pretrain.py", "pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md")


@dataclass(frozen=True, kw_only=True)
class Addition:
    """A sample addition, and how it is seen to work."""

    code: set[str]
    """The files it touches beside tests and documentation."""
    tests: tuple[str, ...]
    """Arguments of pytest: the tests that must pass with it, the addition's own among them."""
    use: Callable[[Path, Path], None]
    """(the copy with the addition, an empty folder): uses it as a reader would, and looks at what comes out."""


def run(copy: Path, *command: str) -> str:
    """The output of `python COMMAND` in the copy, which must end well."""
    environment = os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    process = subprocess.run([sys.executable, *command], cwd=copy, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout[-4000:] + process.stderr[-4000:]
    return process.stdout


def train_with_the_new_term(copy: Path, folder: Path) -> None:
    """Its flag is there, its value in the log."""
    catalogue = make_toy_videos(folder)
    output = folder / "run"
    run(
        copy,
        "scripts/finetune.py",
        *("--features.sets", str(folder / "toy"), *catalogue, "--output", str(output), "--device", "cpu"),
        *("--objective.quiet-normals.weight", "0.5", "--optim.steps", "4", "--optim.batch-size", "8"),
        *("--bags.segments", "4", "--log-every", "1", "--evaluation.resamples", "0", "--no-plots"),
    )
    lines = (output / "seed-0/log.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [line for line in map(json.loads, lines) if "train/loss" in line]
    assert len(steps) == 4
    for step in steps:
        assert step["train/quiet_normals"] > 0
        assert step["train/loss"] == pytest.approx(step["train/base"] + 0.5 * step["train/quiet_normals"], rel=1e-4)


ADDITIONS = {
    "new_loss_term": Addition(
        code={"downstream/detector/quiet_normals.py", "downstream/detector/terms.py"},
        tests=(
            *("tests/downstream/detector/test_quiet_normals.py", "tests/downstream/detector/test_terms.py"),
            *("-k", "quiet_normals"),
        ),
        use=train_with_the_new_term,
    ),
}
"""Name of the patch -> what it promises."""


def touched(patch: str) -> set[str]:
    """The files that a patch changes, makes or removes."""
    return set(re.findall(r"^diff --git a/\S+ b/(\S+)$", patch, re.MULTILINE))


def is_code(path: str) -> bool:
    return not path.startswith(("tests/", "docs/")) and not path.endswith(".md")


def test_every_patch_is_a_sample() -> None:
    assert {file.stem for file in PATCHES.glob("*.patch")} == set(ADDITIONS)


@pytest.mark.parametrize("name", ADDITIONS)
def test_it_touches_as_many_places_as_promised(name: str) -> None:
    files = touched((PATCHES / f"{name}.patch").read_text(encoding="utf-8"))
    assert {path for path in files if is_code(path)} == ADDITIONS[name].code
    assert any(path.startswith("tests/") for path in files), "it has no test"
    assert f"`tests/patches/{name}.patch`" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ADDITIONS)
def test_it_works(name: str, tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git, which applies the patch, is not installed")
    copy, folder = tmp_path / "tree", tmp_path / "folder"
    folder.mkdir()
    for part in COPIED:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, copy / part)
    # apart from any repository that the temporary folder may lie in
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(tmp_path)}
    command = ["git", "apply", str(PATCHES / f"{name}.patch")]
    process = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, f"tests/patches/{name}.patch does not apply, make it again:\n{process.stderr}"
    run(copy, "-m", "pytest", "-p", "no:cacheprovider", *ADDITIONS[name].tests)
    ADDITIONS[name].use(copy, folder)
