"""Validation accuracy of every task, on fixed windows, shared out over the processes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from accelerate import Accelerator
from einops import repeat
from torch import Tensor

from pretext_tasks import PretextTasks
from pretrain.data.loading import load_batches
from pretrain.data.transforms import ClipTransform, MapTransform
from pretrain.data.windows import Batch, ValidationWindows
from pretrain.errors import UserError
from pretrain.intervals import Accuracy, clustered_accuracy
from pretrain.model import PretextModel


@torch.no_grad()
def validation_accuracy(
    model: PretextModel,
    transform: ClipTransform | MapTransform,
    windows: ValidationWindows,
    accelerator: Accelerator,
    workers: int,
    note_bad: Callable[[Batch], None] = lambda batch: None,
) -> dict[str, Accuracy]:
    """Accuracy of each task with its 95 % interval, counted by video. Training mode is restored afterwards.

    `note_bad` is told of every batch with a video that could not be read. UserError when none could be.
    """
    tasks = windows.reader.tasks
    names = list(tasks.enabled())
    counts = torch.zeros(2, len(names), len(windows.sources), device=accelerator.device)
    mine = list(range(len(windows)))[accelerator.process_index :: accelerator.num_processes]
    was_training = model.training
    model.eval()
    for number, batch in zip(mine, load_batches(windows, mine, workers, pin_memory=False), strict=True):
        note_bad(batch)
        counts[:, :, number // windows.windows_per_video] += judge(model, transform, tasks, batch, accelerator)
    model.train(was_training)
    right_by_video, clips_by_video = accelerator.reduce(counts, "sum").cpu().numpy().astype(np.int64)
    if not clips_by_video.any():
        raise UserError(
            "no validation video can be read any more: check them with scripts/check_videos.py and start again"
        )
    return {
        name: clustered_accuracy(right_by_video[index], clips_by_video[index], 1 / tasks.enabled()[name].num_labels)
        for index, name in enumerate(names)
    }


def judge(
    model: PretextModel,
    transform: ClipTransform | MapTransform,
    tasks: PretextTasks,
    batch: Batch,
    accelerator: Accelerator,
) -> Tensor:
    """float (2, tasks): how many clips of each task were judged right, and how many were judged (read at all)."""
    device = accelerator.device
    with accelerator.autocast():
        outputs = model(device_clips(batch, transform, device))
    valid = repeat(batch.valid.to(device), "windows -> windows clips", clips=tasks.clips_per_window)
    counted, labels = tasks.split(valid), tasks.split(batch.labels.to(device))
    right = [
        (task.correct(outputs[name], labels[name]) * counted[name]).sum() for name, task in tasks.enabled().items()
    ]
    return torch.stack([torch.stack(right), torch.stack([counted[name].sum() for name in tasks.enabled()])])


def device_clips(batch: Batch, transform: ClipTransform | MapTransform, device: torch.device) -> Tensor:
    """A batch's clips, window by window, on the device and ready for the backbone: float32 (clips, 3, T, H, W)."""
    on_device = [part.to(device, non_blocking=True).flatten(0, 1) for part in (batch.clips, *batch.augmentation)]
    clips = transform(on_device[0], on_device[1:])
    return clips.contiguous(memory_format=torch.channels_last_3d)
