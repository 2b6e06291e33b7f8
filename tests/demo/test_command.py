"""The demo's command line."""

from __future__ import annotations

import runpy
import sys

import pytest

from demo.command import main


def test_it_takes_no_arguments(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["demo", "--fast"])
    with pytest.raises(SystemExit) as left:
        runpy.run_module("demo", run_name="__main__")
    assert left.value.code == 2
    assert "takes no arguments (--fast)" in capsys.readouterr().err


def test_help_says_what_it_does_and_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    assert "writes runs/demo" in capsys.readouterr().out
