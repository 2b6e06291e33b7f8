"""Whether a run may start, or go on, in its folder: what lies there already, and whether it is of the same run."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from downstream.runs.run_folder import RunFolder
from downstream.runs.seed_folder import SeedFolder
from downstream.training.config import FREE_TO_CHANGE, FinetuneConfig
from downstream.training.source import TrainingSource
from pretrain.errors import UserError, problem_list
from pretrain.run_folder import refuse_changed_settings, refuse_run_of_another_kind, state_to_resume


def states_to_resume(config: FinetuneConfig) -> dict[int, Path | None]:
    """The training state that each seed goes on from; None: from the start, or done.

    UserError: a run is there and was not to be resumed, or its settings were others.
    """
    refuse_run_of_another_kind(config, config.output)
    run = RunFolder(config.output)
    states: dict[int, Path | None] = {}
    for seed in config.seeds:
        folder = run.seed(seed)
        if folder.is_done and not config.resume:
            raise UserError(
                f"{folder.path} already holds a run: add --resume to go on with it, or choose another --output"
            )
        states[seed] = state_to_resume(config, folder.path, config.resume, FREE_TO_CHANGE)
        if folder.is_done and states[seed] is None:  # its states were deleted, to save space
            saved = run.read_config()
            if saved is not None:
                refuse_changed_settings(saved, config, FREE_TO_CHANGE, folder.path, f"those in {run.config_file}")
    return states


def refuse_other_inputs(folder: SeedFolder, source: TrainingSource) -> None:
    """UserError where the features' values or the training videos are no longer those that the seed began with."""
    before, now = folder.read_inputs(), inputs_of(source)
    if before is None:
        return
    changed = [f"{key}: was {before.get(key)}, is {now[key]}" for key in now if before.get(key) != now[key]]
    if changed:
        raise UserError(
            f"cannot go on with {folder.path}: what it is trained on was changed since it began:\n"
            f"{problem_list(changed)}\nPut it back, or start a new run with another --output"
        )


def inputs_of(source: TrainingSource) -> dict[str, str]:
    """What a seed is trained on, to be noted in its folder: the source's own hashes, videos with their labels."""
    inputs = dict(source.fingerprint())
    for what, videos in (("training", source.videos.train), ("validation", source.videos.validation)):
        text = json.dumps([[video.name, video.label] for video in videos])
        inputs[f"{what} videos"] = f"{len(videos)} ({hashlib.sha256(text.encode()).hexdigest()[:8]}, names and labels)"
    return inputs
