"""A run folder's configuration: saved, read back, and compared before a run goes on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from pretrain.accelerator import check_device
from pretrain.checkpoint import newest_state, read_meta, whole_states
from pretrain.cli import flags_of, parse
from pretrain.config import PretrainConfig
from pretrain.errors import UserError, problem_list

# what may differ between a run and the run that goes on from it, because it changes no weight
FREE_TO_CHANGE = {"output", "resume", "log_every", "validate_every", "save_every", "keep_states", "held_out_windows"}
FREE_TO_CHANGE |= {"data.workers", "data.cache"}


def check_before_start(config: PretrainConfig) -> Path | None:
    """The state to go on from, if any; UserError for a run folder that does not fit."""
    check_device(config.device)
    return state_to_resume(config, config.output, config.resume, FREE_TO_CHANGE)


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
    changed = changed_settings(read_meta(state)["config"], config, free_to_change)
    if changed:
        listed = problem_list([f"{key}: {text}" for key, text in changed.items()])
        raise UserError(
            f"cannot go on with {output}: these settings differ from the run's own:\n{listed}\n"
            "Set them back, or start a new run with another --output"
        )
    return state


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


def read_config(run: Path) -> PretrainConfig:
    """The configuration that a run saved. UserError where `run` is no run folder."""
    file = run / "config.json"
    if not file.exists():
        raise UserError(f"{run} is not a run folder: it has no config.json; give the --output folder of pretrain.py")
    saved = json.loads(file.read_text(encoding="utf-8"))
    return parse(PretrainConfig, flags_of(saved), "config.json")
