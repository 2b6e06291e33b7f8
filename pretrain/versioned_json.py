"""JSON files that say which format they are of; many hold videos by name.

{"format": "anomaly-pretext/scores/1", ..., "videos": [{"name": "a", ...}, {"name": "b", ...}]}
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pretrain.errors import UserError, problem_list

Read = TypeVar("Read")


def read_versioned_json(path: Path, what: str, form: str, mend: str) -> dict[str, Any]:
    """The content of a JSON file of the format `form`.

    UserError that names `what` it should be ("the boxes"), the path and the `mend` ("localise again"): it cannot be
    read, is no JSON, or of another format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))  # other programs may begin it with a mark
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"cannot read {what} {path} ({error}); {mend}") from error
    return of_format(content, path, form, mend)


def of_format(content: Any, path: Path, form: str, mend: str) -> dict[str, Any]:
    """`content` of a file, where its `format` is `form`; UserError where it is another."""
    is_object = isinstance(content, dict)
    found = content.get("format") if is_object else type(content).__name__
    if not is_object or found != form:
        raise UserError(f"{path} has the format {found!r}, not '{form}'; {mend}")
    return dict(content)


def read_videos(
    path: Path, what: str, entries: Any, fields: str, read: Callable[[int, Mapping[str, Any]], Read]
) -> dict[str, Read]:
    """Name -> what `read` makes of each video (its number, its entry), in the order of the file.

    `what`: the file in words; `fields`: those that an entry has. UserError naming every unusable or doubled one at
    once, and where there is none.
    """
    if not isinstance(entries, Sequence) or not entries:
        raise UserError(f"there is no video in {what} {path}; write it again with a list of at least one")
    problems: list[str] = []
    names: set[str] = set()
    by_name: dict[str, Read] = {}
    for number, entry in enumerate(entries):
        try:
            name = str(entry["name"])
            if name in names:
                problems.append(f"'{name}' stands twice; keep one")
            names.add(name)
            by_name[name] = read(number, entry)
        except UserError as error:
            problems.append(str(error))
        except (KeyError, TypeError, ValueError) as error:
            reason = str(error) if isinstance(error, ValueError) else repr(error)
            problems.append(f"entry {number} is not {fields} ({reason})")
    if problems:
        raise UserError(f"{len(problems)} problem(s) in {what} {path}:\n{problem_list(problems)}")
    return by_name
