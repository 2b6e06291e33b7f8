"""A run folder's configuration: saved, read back, and compared before a run goes on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from pretrain.checkpoint import newest_state, read_meta, whole_states
from pretrain.cli import flags_of, parse
from pretrain.config import PretrainConfig
from pretrain.errors import UserError, problem_list

# what may differ between a run and the run that goes on from it, because it changes no weight
FREE_TO_CHANGE = {"output", "resume", "log_every", "validate_every", "save_every", "keep_states", "held_out_windows"}
FREE_TO_CHANGE |= {"data.workers", "data.cache"}


def check_before_start(config: PretrainConfig) -> Path | None:
    """The state to go on from, if any; UserError for a run folder that does not fit."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device is cuda, but no CUDA device is available here: use --device auto or cpu")
    folder = config.output / "checkpoints"
    if not config.resume:
        if whole_states(folder):
            raise UserError(
                f"{config.output} already holds a run: add --resume to go on with it, or choose another --output"
            )
        return None
    state = newest_state(folder)
    if state is None:
        return None
    before, now = read_meta(state)["config"], as_json(config)
    changed = [
        f"{key}: was {before.get(key)!r}, is {now.get(key)!r}"
        for key in sorted({*before, *now} - FREE_TO_CHANGE)
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise UserError(
            f"cannot go on with {config.output}: these settings differ from the run's own:\n{problem_list(changed)}\n"
            "Set them back, or start a new run with another --output"
        )
    return state


def as_json(config: PretrainConfig) -> dict[str, Any]:
    """The configuration as flat `section.key` to JSON values."""
    flat: dict[str, Any] = {}

    def walk(value: Any, prefix: str) -> None:
        for entry in dataclasses.fields(value):
            item = getattr(value, entry.name)
            if dataclasses.is_dataclass(item):
                walk(item, f"{prefix}{entry.name}.")
            else:
                plain = str(item) if isinstance(item, Path) else item
                flat[prefix + entry.name] = list(plain) if isinstance(plain, tuple) else plain

    walk(config, "")
    return flat


def read_config(run: Path) -> PretrainConfig:
    """The configuration that a run saved. UserError where `run` is no run folder."""
    file = run / "config.json"
    if not file.exists():
        raise UserError(f"{run} is not a run folder: it has no config.json; give the --output folder of pretrain.py")
    saved = json.loads(file.read_text(encoding="utf-8"))
    return parse(PretrainConfig, flags_of(saved), "config.json")
