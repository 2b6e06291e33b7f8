"""`anomaly-pretext configs`: what comes with the program, and a copy of it to change."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pretrain.cli import run_command
from pretrain.errors import UserError
from pretrain.files import write_text
from pretrain.yaml_file import COMES_WITH_IT, find_config

USAGE = (
    "usage: anomaly-pretext configs            lists them\n       anomaly-pretext configs NAME.yaml  copies one here"
)


def main(arguments: Sequence[str]) -> None:
    """Leave with the exit status."""
    run_command(lambda: list_or_copy(list(arguments)))


def list_or_copy(arguments: list[str]) -> int:
    """UserError: no such configuration, a file of that name here already."""
    if any(argument.startswith("-") for argument in arguments) or len(arguments) > 1:
        print(USAGE)
        return 0 if {"-h", "--help"} & set(arguments) else 2
    if not arguments:
        print("\n".join(f"{path.name:<32} {first_line(path)}" for path in sorted(COMES_WITH_IT.glob("*.yaml"))))
        return 0
    source, target = find_config(Path(arguments[0])), Path(Path(arguments[0]).name)
    if target.exists():
        raise UserError(f"there is a {target} here already; move it away first")
    write_text(target, source.read_text(encoding="utf-8"))
    print(f"{target} is yours to change", file=sys.stderr)
    return 0


def first_line(path: Path) -> str:
    """What a configuration is for: its first comment."""
    line = path.read_text(encoding="utf-8").partition("\n")[0]
    return line.lstrip("# ")[:90]
