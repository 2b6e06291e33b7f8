"""The command `anomaly-pretext`: its subcommands are the scripts, and nothing else is imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from anomaly_pretext.command import COMMANDS, main, module_of
from anomaly_pretext.lazy import installed_name
from anomaly_pretext.version import __version__
from tests.paths import ROOT


def left_with(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert isinstance(left.value.code, int)
    return left.value.code


def test_every_script_is_a_subcommand_and_every_subcommand_is_there() -> None:
    scripts = {path.stem.replace("_", "-") for path in (ROOT / "scripts").glob("[a-z]*.py")}
    assert scripts | {"pretrain", "demo", "configs"} == set(COMMANDS)
    for name in COMMANDS:
        assert (ROOT / f"{module_of(name).replace('.', '/')}.py").is_file()


def test_help_lists_them_and_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert left_with(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)
    assert left_with([]) == 2
    assert left_with(["--version"]) == 0
    assert capsys.readouterr().out.endswith(f"anomaly-pretext {__version__}\n")


def test_a_wrong_name_is_one_line_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert left_with(["extract_feature"]) == 2
    assert capsys.readouterr().err == (
        "error: there is no command 'extract_feature'; did you mean extract-features? `anomaly-pretext --help` lists "
        "them\n"
    )
    assert left_with(["qqq"]) == 2
    assert capsys.readouterr().err == "error: there is no command 'qqq'. `anomaly-pretext --help` lists them\n"


def test_a_wrong_name_ends_without_the_launchers_traceback() -> None:
    line = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1", "-m", "anomaly_pretext", "foo"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *line], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stderr.endswith("error: there is no command 'foo'. `anomaly-pretext --help` lists them\n")


def test_underscores_are_as_good_as_dashes(capsys: pytest.CaptureFixture[str]) -> None:
    assert left_with(["make_demo_videos", "--help"]) == 0
    assert "Number of fixed cameras" in capsys.readouterr().out


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys, runpy\ntry:\n    sys.argv = ['x', '--help']\n    runpy.run_module('anomaly_pretext')\n"
        "finally:\n    print(*sorted({'torch', 'numpy', 'tyro', 'av'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_modules_have_the_names_of_a_checkout_here() -> None:
    assert installed_name("pretrain.errors") == "pretrain.errors"
    assert installed_name("anomaly_pretext.detector") == "anomaly_pretext.detector"
