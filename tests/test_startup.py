"""`--help` and a mistake in the arguments are answered before PyTorch and its like are loaded (CONTRIBUTING.md).

One fresh interpreter in which none of these can be imported parses for every command, one after the other. How long
that takes is measured by benchmarks/startup.py.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmarks.startup import HEAVY
from pretrain import command as pretrain_command
from tests.paths import ROOT
from tests.test_flags import commands

MODULES = commands() | {"demo": "demo.command", "pretrain": pretrain_command.__name__}
"""Command -> its module."""
REFUSED = {
    "pretrain": ("--optim.lr 0", "optim.lr is 0.0; it must be above 0"),
    "finetune": ("--objective.topk-bce.k 0", "topk_bce.k is 0; it must be 1 or more"),
    "ablate": ("--features.sets x --terms hard_minin", "terms: 'hard_minin'; did you mean 'hard_mining'?"),
    "extract_features": ("--out x --batch-clips 0", "batch_clips is 0; it must be at least 1"),
    "detect": ("x.mp4 --films -1", "films is -1; it must be 0 or more"),
    "calibrate": ("x --detector y --per-hour 1 --decoders 0", "decoders is 0; it must be at least 1"),
    "fit_normal": ("--normal.coreset 1", "coreset is 1; it must hold the 5 neighbours at least"),
    "localise": ("x --strips -1", "strips is -1; it must be 0 or more"),
    "evaluate": ("", "nothing to evaluate: give run folders or score files"),
    "doctor": ("--features x --top-k 0", "top_k is 0; it must be at least 1"),
    "demo": ("x", "the demo takes no arguments (x)"),
}
"""Command -> a value that its settings refuse, and the message."""


class Refuse:
    """Finds no module; those that are heavy it refuses, so that the traceback says who asked."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] in HEAVY:
            raise AssertionError(f"{name} is imported before the arguments are parsed")
        return None


def called(module: str, arguments: Sequence[str]) -> tuple[int, str]:
    """Exit status of a command, and all that it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            importlib.import_module(module).main(arguments)
        except SystemExit as left:
            return int(left.code or 0), printed.getvalue()
    raise AssertionError(f"{module} did not leave")


def answer_all(folder: Path) -> None:
    """Of every command help, a wrong flag, a file that is not there, a refused value; AssertionError as `Refuse`."""
    loaded = sorted({name.partition(".")[0] for name in sys.modules} & set(HEAVY))
    assert not loaded, f"{', '.join(loaded)}: loaded with a module that this test itself imports"
    sys.meta_path.insert(0, Refuse)
    missing = str(folder / "missing.yaml")
    for name, module in MODULES.items():
        status, printed = called(module, ["--help"])
        assert (status, "usage" in printed) == (0, True), (name, printed)
        status, printed = called(module, ["--no-such-flag", "3"])
        assert (status, bool(printed.strip())) == (2, True), (name, printed)  # or what is missing beside it
        status, printed = called(module, [missing])
        assert (status, missing in printed) == (2, True), (name, printed)
    status, printed = called("anomaly_pretext.command", ["detect", "--help"])
    assert (status, "usage: detect.py" in printed) == (0, True), printed
    for name, (flags, message) in REFUSED.items():
        status, printed = called(MODULES[name], flags.split())
        assert (status, message in " ".join(printed.split())) == (2, True), (name, printed)


def test_every_command_answers_without_what_is_heavy(tmp_path: Path) -> None:
    code = f"from pathlib import Path; from {__name__} import answer_all; answer_all(Path({str(tmp_path)!r}))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (
        f"{done.stderr[-4000:]}\nSettings import only settings, and a script imports its work inside `run`: see "
        "CONTRIBUTING.md"
    )


@pytest.mark.parametrize("name", sorted(HEAVY))
def test_the_test_notices_a_heavy_import(name: str) -> None:
    with pytest.raises(AssertionError, match=rf"{name}\.x is imported before the arguments are parsed"):
        Refuse.find_spec(f"{name}.x")
    assert Refuse.find_spec("numpy") is None
