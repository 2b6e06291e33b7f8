"""Reading JSON: the one way, for files that say which format they are of and for those that do not.

{"format": "anomaly-pretext/scores/1", ..., "videos": [{"name": "a", ...}, {"name": "b", ...}]}

Limits: a regular file, of at most so many bytes, nested at most `MAX_DEPTH` deep, in UTF-8; whole numbers of at most 64
bits, numbers that are finite.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pretrain.errors import UserError, problem_list
from pretrain.json_shapes import LARGEST, Shape, WrongShape, anything, check
from pretrain.reading import CARD_BYTES, LIST_BYTES, Unreadable, read_utf8

__all__ = ["CARD_BYTES", "LIST_BYTES", "of_format", "parse_json", "read_json", "read_versioned_json", "read_videos"]

MAX_DEPTH = 64
"""Objects and lists within one another; ours have 8."""

Read = TypeVar("Read")


def parse_json(
    text: str | bytes,
    unique: Callable[[list[tuple[str, Any]]], dict[str, Any]] | None = None,
    *,
    takes_nan: bool = False,
) -> Any:
    """The value of JSON text. ValueError, and nothing else, for text that is none or past a limit.

    `unique` makes an object of its pairs, for those who look for doubled keys. `takes_nan`: of NaN and Infinity too,
    which Python writes into logs.
    """
    refuse = None if takes_nan else _refuse_constant
    try:
        content = json.loads(
            text, parse_int=_whole, parse_float=_finite, parse_constant=refuse, object_pairs_hook=unique
        )
        if _is_too_deep(content):
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
    except RecursionError as error:
        raise ValueError(f"{error}: it is nested too deep") from error
    return content


def read_json(
    path: Path,
    what: str,
    mend: str,
    shape: Shape = anything,
    limit: int = CARD_BYTES,
    unique: Callable[[list[tuple[str, Any]]], dict[str, Any]] | None = None,
    *,
    takes_nan: bool = False,
) -> Any:
    """The content of a JSON file, of that shape.

    UserError that names `what` it should be ("the boxes"), the path, the reason and the `mend` ("localise again").
    """
    try:
        content = parse_json(read_utf8(path, limit), unique, takes_nan=takes_nan)
        check(content, shape)
    except WrongShape as error:
        raise UserError(f"{what} {path} cannot be used: {error}; {mend}") from error
    except (Unreadable, ValueError) as error:
        raise UserError(f"cannot read {what} {path} ({error}); {mend}") from error
    return content


def read_versioned_json(
    path: Path,
    what: str,
    form: str,
    mend: str,
    shape: Shape = anything,
    limit: int = CARD_BYTES,
    *,
    takes_nan: bool = False,
) -> dict[str, Any]:
    """The content of a JSON file of the format `form` and of that shape; UserError as `read_json`."""
    content = of_format(read_json(path, what, mend, limit=limit, takes_nan=takes_nan), path, form, mend)
    try:
        check(content, shape)
    except WrongShape as error:
        raise UserError(f"{what} {path} cannot be used: {error}; {mend}") from error
    return content


def of_format(content: Any, path: Path, form: str, mend: str) -> dict[str, Any]:
    """`content` of a file, where its `format` is `form`; UserError where it is another."""
    is_object = isinstance(content, dict)
    found = content.get("format") if is_object else type(content).__name__
    if not is_object or found != form:
        raise UserError(f"{path} has the format {str(found)[:80]!r}, not '{form}'; {mend}".replace("'None'", "None"))
    return dict(content)


def read_videos(
    path: Path, what: str, entries: Any, fields: str, read: Callable[[int, Mapping[str, Any]], Read]
) -> dict[str, Read]:
    """Name -> what `read` makes of each video (its number, its entry), in the order of the file.

    `what`: the file in words; `fields`: those that an entry has. UserError naming every unusable or doubled one at
    once, and where there is none.
    """
    if not isinstance(entries, Sequence) or isinstance(entries, str) or not entries:
        raise UserError(f"there is no video in {what} {path}; write it again with a list of at least one")
    problems: list[str] = []
    names: set[str] = set()
    by_name: dict[str, Read] = {}
    for number, entry in enumerate(entries):
        try:
            name = entry["name"]
            if not isinstance(name, str):
                raise TypeError(f"the name {str(name)[:80]} is no text")
            if name in names:
                problems.append(f"'{name}' stands twice; keep one")
            names.add(name)
            by_name[name] = read(number, entry)
        except UserError as error:
            problems.append(str(error))
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            reason = str(error) if isinstance(error, ValueError) else repr(error)
            problems.append(f"entry {number} is not {fields} ({reason})")
    if problems:
        raise UserError(f"{len(problems)} problem(s) in {what} {path}:\n{problem_list(problems)}")
    return by_name


def _whole(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) > LARGEST:
        raise ValueError(f"the whole number {digits[:20]}... is larger than 64 bits hold")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {digits[:20]} is larger than any")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _is_too_deep(content: Any) -> bool:
    """Level by level, without recursion."""
    level = [content] if isinstance(content, dict | list) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return False
        level = [
            value
            for container in level
            for value in (container.values() if type(container) is dict else container)
            if type(value) is dict or type(value) is list
        ]
    return bool(level)
