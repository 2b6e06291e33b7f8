"""`anomaly-pretext configs`: what comes with the program, and a copy of it to change."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from itertools import takewhile, zip_longest
from pathlib import Path

from pretrain.cli import run_command
from pretrain.errors import UserError
from pretrain.files import write_text
from pretrain.yaml_file import COMES_WITH_IT, find_config

LEAST_ROOM = 60
"""Letters for descriptions beside the names; with less they stand below."""
_END = re.compile(r"(?<!\bal)\.(?=\s+(?:[A-Z0-9]|python|accelerate|anomaly-pretext)|$)|(?<=\.yaml)\n(?=[A-Z])")
"""Of a sentence (`et al. 2019` goes on)."""

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
        print(listing(sorted(COMES_WITH_IT.glob("*.yaml")), shutil.get_terminal_size().columns))
        return 0
    source, target = find_config(Path(arguments[0])), Path(Path(arguments[0]).name)
    if target.exists():
        raise UserError(f"there is a {target} here already; move it away first")
    write_text(target, source.read_text(encoding="utf-8"))
    print(f"{target} is yours to change", file=sys.stderr)
    return 0


def listing(paths: Sequence[Path], columns: int) -> str:
    """Each configuration with what it is for, in lines of so many letters: beside its name where there is room."""
    names = max(len(path.name) for path in paths) + 2
    indent = names if columns - names >= LEAST_ROOM else 4
    lines = []
    for path in paths:
        wrapped = textwrap.wrap(
            first_sentence(path.read_text(encoding="utf-8")),
            max(columns - indent, LEAST_ROOM // 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
        if indent < names:
            wrapped.insert(0, "")
        lines += [f"{head:<{indent}}{text}".rstrip() for head, text in zip_longest([path.name], wrapped, fillvalue="")]
    return "\n".join(lines)


def first_sentence(text: str) -> str:
    """What a configuration is for: the first sentence of its comment; a line with a command for it ends one too."""
    comment = "\n".join(line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), text.splitlines()))
    return " ".join(_END.split(comment, maxsplit=1)[0].split()).rstrip(".")
