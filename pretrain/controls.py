"""Controls: the tasks with their signal taken away. An accuracy above chance there is a shortcut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import torch
from accelerate import Accelerator

from pretrain.backbones import build_backbone
from pretrain.checkpoint import load_weights, newest_state
from pretrain.data.transforms import ClipTransform
from pretrain.data.windows import Control, HeldOutWindows
from pretrain.errors import UserError
from pretrain.intervals import Accuracy
from pretrain.model import PretextModel
from pretrain.prepare import prepare_videos, window_reader
from pretrain.train import read_config
from pretrain.validate import held_out_accuracy


def control_accuracies(
    run: Path, accelerator: Accelerator, windows_per_video: int, workers: int
) -> dict[str, dict[str, Accuracy]]:
    """Accuracy of a run's tasks on its held-out videos, as they are and under each control, by control and task.

    Frames are augmented as in training, noise and jitter of each frame included: what is left in a control is all that
    could give a label away, except the signal. UserError where the run has no training state.
    """
    config = read_config(run)
    state = newest_state(run / "checkpoints")
    if state is None:
        raise UserError(f"{run} holds no whole training state: let the run save one first (save_every)")
    model = PretextModel(build_backbone(replace(config.backbone, weights=None, download=False)), config.tasks)
    load_weights(state, model)
    model = model.to(accelerator.device)
    spec = model.backbone.spec
    reader = window_reader(config, spec)
    videos = prepare_videos(config, reader.geometry.window_frames, 0, 1, accelerator.wait_for_everyone)
    transform = ClipTransform(spec.height, spec.width, spec.mean, spec.std).to(accelerator.device)
    torch.manual_seed(config.seed)
    found: dict[str, dict[str, Accuracy]] = {}
    for control in get_args(Control):
        windows = HeldOutWindows(
            videos.held_out, replace(reader, control=control), windows_per_video, config.seed, config.augment
        )
        found[control] = held_out_accuracy(model, transform, windows, accelerator, workers)
    return found
