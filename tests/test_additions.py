"""What an addition touches: sample patches in tests/patches, applied to a copy of the tree and used.

A sample more is its patch (`git diff -U1 > tests/patches/new_THING.patch`: little context, for neighbours come and
go, with a heading that says what it shows), a line in `ADDITIONS` and a test in
`additions_in_use.py`. What a patch touches beside tests and documentation is what CONTRIBUTING.md promises. A patch
that no longer applies is made again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.paths import ROOT

PATCHES = ROOT / "tests" / "patches"
COPIED = ("pretext_tasks", "pretrain", "downstream", "demo", "scripts", "anomaly_pretext", "benchmarks")
COPIED += ("tests", "configs", "docs", "examples", "deploy", "setup.py")
COPIED += ("pretrain.py", "pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md")
FLAGS = "tests/flags.txt"


@dataclass(frozen=True, kw_only=True)
class Addition:
    """A sample addition: what it touches beside tests and documentation, and what tests it."""

    name: str
    """Of what is added: tests with it in their own or their file's name are about it."""
    own: str
    """The file it adds."""
    lines: dict[str, int]
    """File that is there already -> lines added to it; none is taken away."""
    flags: int = 0
    """Lines added to the frozen list of flags."""
    shared: str | None = None
    """The tests of all of its kind, which find it by themselves."""


ADDITIONS = {
    "new_pretext_task": Addition(
        name="stutter",
        own="pretext_tasks/stutter.py",
        lines={"pretext_tasks/__init__.py": 3},
        flags=1,
        shared="tests/pretext_tasks/test_sampling.py",
    ),
    "new_loss_term": Addition(
        name="quiet_normals",
        own="downstream/detector/quiet_normals.py",
        lines={"downstream/detector/loss_config.py": 12, "downstream/detector/terms.py": 8},
        flags=3,
        shared="tests/downstream/detector/test_terms.py",
    ),
    "new_dataset": Addition(
        name="crossing",
        own="pretrain/data/catalogues/crossing.py",
        lines={"pretrain/data/catalogues/__init__.py": 2},
        shared="tests/pretrain/data/catalogues/test_catalogues.py",
    ),
    "new_output_format": Addition(
        name="events_csv",
        own="downstream/detection/writers/events_csv.py",
        lines={"downstream/detection/writers/__init__.py": 2},
    ),
    "new_backbone": Addition(
        name="factored",
        own="pretrain/backbones/factored.py",
        lines={"pretrain/backbones/build.py": 2},
        shared="tests/pretrain/backbones/test_build.py",
    ),
}
"""Name of the patch -> what it promises. No two of them touch the same lines: they are applied together."""

ALWAYS = {
    "tests/test_flags.py": "a_new_flag_is_a_decision",
    "tests/downstream/detection/writers/test_writers.py": "files_and_streams",
    "tests/downstream/detection/test_output_files.py": "this_call_alone",
    "tests/pretrain/test_controls.py": "without_signal",
    "tests/test_readme.py": "stands_in_the_tree",
    "tests/test_mirror.py": "every_module_has_its_test",
}
"""Tests of what all additions together have changed -> part of their names."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a patch does to one file."""

    is_new: bool
    added: int
    removed: int


def changes(patch: str) -> dict[str, Change]:
    """File -> what the patch does to it."""
    found = {}
    for section in re.split(r"^diff --git ", patch, flags=re.MULTILINE)[1:]:
        header, *hunks = re.split(r"^@@ ", section, flags=re.MULTILINE)
        (path,) = re.findall(r"\Aa/\S+ b/(\S+)$", header, re.MULTILINE)
        lines = [line[:1] for hunk in hunks for line in hunk.splitlines()[1:]]
        found[path] = Change(is_new="\nnew file" in header, added=lines.count("+"), removed=lines.count("-"))
    return found


def is_code(path: str) -> bool:
    return not path.startswith(("tests/", "docs/")) and not path.endswith(".md")


def text_of(name: str) -> str:
    return (PATCHES / f"{name}.patch").read_text(encoding="utf-8")


def apply(name: str, folder: Path, *options: str) -> None:
    """Apply a sample patch to the tree in a folder."""
    # apart from any repository that the folder may lie in
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
    command = ["git", "apply", *options, str(PATCHES / f"{name}.patch")]
    process = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, f"tests/patches/{name}.patch does not apply, make it again:\n{process.stderr}"


def test_every_patch_is_a_sample() -> None:
    assert {file.stem for file in PATCHES.glob("*.patch")} == set(ADDITIONS)


@pytest.mark.parametrize("name", ADDITIONS)
def test_it_touches_as_many_places_as_promised(name: str) -> None:
    addition, touched = ADDITIONS[name], changes(text_of(name))
    code = {path: change for path, change in touched.items() if is_code(path)}
    assert {path for path, change in code.items() if change.is_new} == {addition.own}
    assert {path: change.added for path, change in code.items() if not change.is_new} == addition.lines
    assert not any(change.removed for change in code.values())
    frozen = touched.get(FLAGS, Change(is_new=False, added=0, removed=0))
    assert (frozen.added, frozen.removed) == (addition.flags, 0)


@pytest.mark.parametrize("name", ADDITIONS)
def test_it_comes_with_a_test_and_its_documentation(name: str) -> None:
    touched = changes(text_of(name))
    assert [path for path, change in touched.items() if change.is_new and Path(path).name.startswith("test_")]
    assert any(path.startswith("docs/") for path in touched)
    assert f"`tests/patches/{name}.patch`" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_they_work(tmp_path: Path) -> None:
    """All in one copy and one process: theirs, those of their kind and those that use them must pass."""
    if shutil.which("git") is None:
        pytest.skip("git, which applies the patches, is not installed")
    copy = tmp_path / "tree"
    for part in COPIED:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, copy / part)
    for name in ADDITIONS:
        apply(name, copy, "--check")  # each also without the others
    for name in ADDITIONS:
        apply(name, copy)
    own_tests = [path for name in ADDITIONS for path in changes(text_of(name)) if Path(path).name.startswith("test_")]
    shared = [addition.shared for addition in ADDITIONS.values() if addition.shared is not None]
    files = sorted({*own_tests, *shared, *ALWAYS, "tests/additions_in_use.py"})
    chosen = " or ".join([*(addition.name for addition in ADDITIONS.values()), *ALWAYS.values()])
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-vv", "-k", chosen, *files]
    environment = os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    process = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout[-6000:] + process.stderr[-2000:]
    for addition in ADDITIONS.values():
        for file in ("tests/additions_in_use.py", *([addition.shared] if addition.shared else [])):
            assert re.search(rf"^{file}::\S*{addition.name}\S* PASSED", process.stdout, re.MULTILINE), (file, addition)
