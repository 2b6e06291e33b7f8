"""Training states: what a run needs to go on as if it had never stopped. No pickle anywhere.

    RUN/checkpoints/step-00000500/state.safetensors   weights, optimiser moments
                                  state.json          step, configuration, optimiser groups, hash of the tensors

A state is written into a hidden folder, synced and renamed: a folder named `step-*` is whole. The random state is not
saved because there is none: every draw is a function of the seed and the step.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from pretrain.errors import UserError
from pretrain.files import sha256_of, sync_folder
from pretrain.json_shapes import mapping, optional, record, sequence, text, whole
from pretrain.leftovers import remove_leftovers, temporary_path
from pretrain.reading import LIST_BYTES
from pretrain.versioned_json import read_versioned_json
from pretrain.weight_files import read_safetensors, refuse_not_finite

logger = logging.getLogger(__name__)

FORMAT = "anomaly-pretext/training-state/1"
_META = record(
    {
        "step": whole(0),
        "sha256": text,
        "optimizer": record({"param_groups": sequence(mapping())}),
        "config": mapping(),
    },
    {"scaler": optional(mapping()), "best": optional(mapping())},
)


def save_state(
    folder: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, extra: dict[str, Any], keep: int
) -> Path:
    """Write the state after `step` steps and drop all but the newest `keep` whole states. Returns its folder.

    A whole state of the same step stays as it is: it can only be the same. On a full disk nothing is left of the new
    state, the older ones stand, and a UserError says so.
    """
    final = folder / f"step-{step:08d}"
    hidden = temporary_path(final)
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    if final.exists() and final == newest_state(folder):  # looked for only then: it reads a whole state
        return final
    optimizer_tensors, optimizer_rest = _split_optimizer(optimizer)
    tensors = {f"model.{key}": value for key, value in model.state_dict().items()} | optimizer_tensors
    try:
        hidden.mkdir()
        save_file(
            {key: value.detach().cpu().contiguous() for key, value in tensors.items()}, hidden / "state.safetensors"
        )
        meta = {
            "format": FORMAT,
            "step": step,
            "optimizer": optimizer_rest,
            "sha256": sha256_of(hidden / "state.safetensors"),
            **extra,
        }
        (hidden / "state.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
        sync_folder(hidden)
        if final.exists():  # damaged, or it would have been the newest
            shutil.rmtree(final)
        os.replace(hidden, final)
        sync_folder(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(hidden, ignore_errors=True)
        older = newest_state(folder)
        left = f"the newest whole state is {older}" if older else "there is no older state"
        raise UserError(
            f"cannot write the training state of step {step} to {folder}: {error}; {left}. "
            "Make room and run again with --resume"
        ) from error
    for old in whole_states(folder)[:-keep]:
        _remove(old)
    return final


def _remove(state: Path) -> None:
    """Take a state away under a temporary name: killed halfway, it leaves nothing that looks like a state."""
    hidden = temporary_path(state)
    os.replace(state, hidden)
    shutil.rmtree(hidden)


def whole_states(folder: Path) -> list[Path]:
    """Folders of whole states, oldest first."""
    return sorted(path for path in folder.glob("step-*") if (path / "state.json").exists())


def newest_state(folder: Path) -> Path | None:
    """The newest state whose hash is right; a damaged one is passed over (and named when it is loaded by name)."""
    for path in reversed(whole_states(folder)):
        try:
            if read_meta(path)["sha256"] == sha256_of(path / "state.safetensors"):
                return path
            reason = "its weights are not those that were written"
        except (OSError, UserError) as error:
            reason = str(error)
        logger.warning("the training state %s is passed over: %s", path, reason)
    return None


def read_meta(state: Path) -> dict[str, Any]:
    """The JSON part of a state; UserError where it is damaged or of another format."""
    mend = f"delete {state}; an older state, or the start, is gone on from"
    file = state / "state.json"
    return read_versioned_json(file, "the training state", FORMAT, mend, _META, LIST_BYTES, takes_nan=True)


def load_state(state: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put a state's weights and moments into `model` and `optimizer`."""
    tensors = load_weights(state, model)
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            match = re.fullmatch(r"optimizer\.(\d{1,9})\.(.+)", key)
            if match is None:
                raise UserError(f"{state} holds a tensor '{key[:80]}', which no optimiser has; delete that folder")
            moments.setdefault(int(match[1]), {})[match[2]] = value
    try:
        optimizer.load_state_dict({"state": moments, "param_groups": read_meta(state)["optimizer"]["param_groups"]})
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UserError(f"{state} does not fit the configured optimiser: {' '.join(str(error).split())}") from None


def load_weights(state: Path, model: nn.Module) -> dict[str, Tensor]:
    """Put a state's weights into `model`; returns all of the state's tensors. UserError where they do not fit."""
    tensors, _ = read_safetensors(state / "state.safetensors")
    refuse_not_finite(tensors, str(state / "state.safetensors"))
    weights = {key[len("model.") :]: value for key, value in tensors.items() if key.startswith("model.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{state} does not fit the configured model: {' '.join(str(error).split())}") from None
    return tensors


def _split_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors of an optimiser's state by flat key, and the rest, which is JSON."""
    whole = optimizer.state_dict()
    tensors = {
        f"optimizer.{index}.{name}": torch.as_tensor(value)
        for index, entry in whole["state"].items()
        for name, value in entry.items()
    }
    return tensors, {"param_groups": whole["param_groups"]}
