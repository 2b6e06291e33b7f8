"""Reading YAML: flags in a file. Plain values alone; what a file unfolds to is limited before anything is made of it.

Limits: a regular file of at most `MAX_BYTES` in UTF-8, `MAX_VALUES` values, `MAX_DEPTH` within one another. A few
lines of aliases that name one another would otherwise unfold to more than any memory holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pretrain.errors import UserError
from pretrain.reading import Unreadable, read_utf8

MAX_BYTES = 1 << 17
MAX_VALUES = 10_000
MAX_DEPTH = 32


COMES_WITH_IT = Path(__file__).resolve().parents[1] / "configs"
"""Folder of the configurations that come with the program."""


def find_config(path: Path) -> Path:
    """The file that is meant: one that is there, else one that comes with the program, by its name or as
    `configs/NAME`. UserError: neither, with what there is."""
    if path.exists():
        return path
    own = COMES_WITH_IT / path.name
    if path in (Path(path.name), Path("configs") / path.name) and own.is_file():
        return own
    there = ", ".join(sorted(known.name for known in COMES_WITH_IT.glob("*.yaml")))
    raise UserError(
        f"no configuration file {path}: give one of yours, one that comes with the program ({there}), or none"
    )


def read_configuration(path: Path) -> dict[str, Any]:
    """The keys and values of a configuration, found as `find_config` does. UserError."""
    return read_yaml(find_config(path))


def read_yaml(path: Path, what: str = "the configuration") -> dict[str, Any]:
    """The keys and values of a YAML file; an empty file has none. UserError, which says `what` it should be."""
    try:
        text = read_utf8(path, MAX_BYTES)
    except Unreadable as error:
        raise UserError(f"cannot read {what} {path} ({error}); give a YAML file in UTF-8") from error
    try:
        values = _construct(text)
    except Exception as error:  # odd values lead the parser's own conversions into errors of many kinds
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())[:500] or type(error).__name__}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"{path} holds a {type(values).__name__}; it must hold `key: value` lines")
    return values


def key_lines(path: Path) -> dict[str, int]:
    """`section.key` -> the line, from 1, where it stands in a file that `read_yaml` could read."""
    node = yaml.compose(read_utf8(path, MAX_BYTES), yaml.SafeLoader)
    return dict(_lines_below(node, "")) if isinstance(node, yaml.MappingNode) else {}


def _lines_below(node: yaml.MappingNode, prefix: str) -> Iterator[tuple[str, int]]:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        yield name, key.start_mark.line + 1
        if isinstance(value, yaml.MappingNode):
            yield from _lines_below(value, f"{name}.")


def _construct(text: str) -> Any:
    _refuse_brackets(text)
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_large(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_brackets(text: str) -> None:
    """ValueError for brackets within brackets past the limit, wherever they stand: the scanner's time grows by their
    square."""
    depth = 0
    for mark in re.findall(r"[\[\]{}]", text):
        depth = max(0, depth + (1 if mark in "[{" else -1))
        if depth > MAX_DEPTH:
            raise ValueError(f"its brackets stand more than {MAX_DEPTH} deep within one another")


def _refuse_large(node: yaml.Node) -> None:
    """ValueError where a document unfolds to more than the limits: aliases stand for all that they name, each time."""
    level, count = [node], 1
    for _ in range(MAX_DEPTH):
        below: list[yaml.Node] = []
        for parent in level:
            if isinstance(parent, yaml.MappingNode):
                below += [child for pair in parent.value for child in pair]
            elif isinstance(parent, yaml.SequenceNode):
                below += parent.value
            if count + len(below) > MAX_VALUES:
                raise ValueError(f"it unfolds to more than {MAX_VALUES:,} values; write out what is meant")
        if not below:
            return
        level, count = below, count + len(below)
    raise ValueError(f"its values stand more than {MAX_DEPTH} deep within one another")
