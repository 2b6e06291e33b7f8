"""A run folder's configuration: saved, read back, and compared before a run goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pretrain.checkpoint import newest_state, read_meta, whole_states
from pretrain.errors import UserError, problem_list
from pretrain.json_shapes import Shape, anything, check
from pretrain.reading import LIST_BYTES, Unreadable, read_utf8
from pretrain.versioned_json import parse_json

CONFIG_FILE = "config.json"
"""What every run writes first: its configuration, as `as_json`."""


def read_saved(
    file: Path, mend: str = "start the run anew in another --output", shape: Shape = anything
) -> dict[str, Any]:
    """A JSON object of that shape that a run wrote; UserError with the mend where it is damaged."""
    try:
        content = parse_json(read_utf8(file, LIST_BYTES))
        if not isinstance(content, dict):
            raise Unreadable("no JSON object")
        check(content, shape)
    except (Unreadable, ValueError) as error:
        raise UserError(f"{file} is damaged ({error}): {mend}") from error
    return content


def is_of_kind(saved: Mapping[str, Any], config: Any) -> bool:
    """Whether a saved configuration is one of this kind: all of its sections are sections of `config`."""
    return sections(saved) <= sections(as_json(config))


def sections(keys: Iterable[str]) -> set[str]:
    """`data` of `data.workers`."""
    return {key.partition(".")[0] for key in keys if "." in key}


def refuse_run_of_another_kind(config: Any, output: Path) -> None:
    """UserError where `output` holds a run of another command, which would be written over."""
    file = output / CONFIG_FILE
    if file.is_file() and not is_of_kind(read_saved(file), config):
        raise UserError(f"{output} holds a run of another command; choose another --output")


def state_to_resume(config: Any, output: Path, resume: bool, free_to_change: set[str]) -> Path | None:
    """The newest state in `output/checkpoints` where `resume` asks for it; None for a fresh start.

    UserError: a run is there and was not to be resumed, or settings other than `free_to_change` differ from its own.
    """
    folder = output / "checkpoints"
    if not resume:
        if whole_states(folder):
            raise UserError(f"{output} already holds a run: add --resume to go on with it, or choose another --output")
        return None
    state = newest_state(folder)
    if state is None:
        return None
    refuse_changed_settings(read_meta(state)["config"], config, free_to_change, output, "the run's own")
    return state


def refuse_changed_settings(
    before: dict[str, Any], config: Any, free_to_change: set[str], output: Path, whose: str
) -> None:
    """UserError naming the settings, but those free to change, in which `config` differs from a saved one.

    `whose` the saved ones are, in words.
    """
    changed = changed_settings(before, config, free_to_change)
    if changed:
        listed = problem_list([f"{key}: {text}" for key, text in changed.items()])
        raise UserError(
            f"cannot go on with {output}: these settings differ from {whose}:\n{listed}\n"
            "Set them back, or start a new run with another --output (one begun under old names cannot go on)"
        )


def changed_settings(before: dict[str, Any], config: Any, free_to_change: set[str]) -> dict[str, str]:
    """`was ..., is ...` of every setting, but those free to change, in which `config` differs from a saved one."""
    now = as_json(config)
    return {
        key: f"was {before.get(key)!r}, is {now.get(key)!r}"
        for key in sorted({*before, *now} - free_to_change)
        if before.get(key) != now.get(key)
    }


def as_json(config: Any) -> dict[str, Any]:
    """A configuration (nested dataclasses) as flat `section.key` to JSON values."""
    flat: dict[str, Any] = {}

    def walk(value: Any, prefix: str) -> None:
        for entry in dataclasses.fields(value):
            item = getattr(value, entry.name)
            if dataclasses.is_dataclass(item):
                walk(item, f"{prefix}{entry.name}.")
            else:
                flat[prefix + entry.name] = plain(item)

    walk(config, "")
    return flat


def plain(value: Any) -> Any:
    """Paths as text and tuples as lists."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
