"""Every flag of every command stands in flags.txt: a new one is a decision, not an accident.

`python -m tests.test_flags > tests/flags.txt` writes the list anew.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import tyro

from pretrain.flags import flag_names
from tests.paths import ROOT

FILE = Path(__file__).parent / "flags.txt"


class Parsed(BaseException):
    """Stops a command where it parses; holds the configuration class. No Exception: nothing may catch it."""

    def __init__(self, config: type[Any]) -> None:
        self.config = config


def commands() -> dict[str, str]:
    """Command -> its module."""
    scripts = {path.stem: f"scripts.{path.stem}" for path in sorted((ROOT / "scripts").glob("[a-z]*.py"))}
    return {"pretrain": "pretrain.command", **scripts}


def configuration(module: str) -> type[Any]:
    """The dataclass that a command parses its flags into."""

    def stop(config: type[Any], **_: Any) -> None:
        raise Parsed(config)

    with mock.patch.object(tyro, "cli", stop), mock.patch.object(sys, "argv", [module]):
        try:
            importlib.import_module(module).main()
        except Parsed as parsed:
            return parsed.config
    raise AssertionError(f"{module} parses no flags")


def flags_now() -> list[str]:
    """`command --flag` of all commands, sorted."""
    return sorted(
        f"{name} --{flag}" for name, module in commands().items() for flag in flag_names(configuration(module))
    )


def test_a_new_flag_is_a_decision() -> None:
    listed, now = FILE.read_text(encoding="utf-8").splitlines(), flags_now()
    added, gone = sorted(set(now) - set(listed)), sorted(set(listed) - set(now))
    assert not added, (
        f"new flags: {added}. Every flag is kept, documented and tested for good: make it a constant unless somebody "
        "turns it. If it stays: python -m tests.test_flags > tests/flags.txt"
    )
    assert not gone, (
        f"flags are gone: {gone}. If they have a new name, add it to pretrain/renamed.py; then: "
        "python -m tests.test_flags > tests/flags.txt"
    )
    assert listed == now, "write the list anew: python -m tests.test_flags > tests/flags.txt"


if __name__ == "__main__":
    print("\n".join(flags_now()))
