"""Held-out accuracy of every task, on fixed windows, shared out over the processes."""

from __future__ import annotations

import numpy as np
import torch
from accelerate import Accelerator
from einops import rearrange
from torch import Tensor

from pretext_tasks import PretextTasks
from pretrain.data.transforms import ClipTransform
from pretrain.data.windows import Batch, HeldOutWindows, load_batches
from pretrain.intervals import Accuracy, clustered_accuracy
from pretrain.model import PretextModel


@torch.no_grad()
def held_out_accuracy(
    model: PretextModel,
    transform: ClipTransform,
    windows: HeldOutWindows,
    accelerator: Accelerator,
    workers: int,
) -> dict[str, Accuracy]:
    """Accuracy of each task with its 95 % interval, counted by video. Training mode is restored afterwards."""
    tasks = windows.reader.tasks
    names = list(tasks.enabled())
    counts = torch.zeros(2, len(names), len(windows.sources), device=accelerator.device)
    mine = list(range(len(windows)))[accelerator.process_index :: accelerator.num_processes]
    was_training = model.training
    model.eval()
    for number, batch in zip(mine, load_batches(windows, mine, workers, pin_memory=False), strict=True):
        right = judge(model, transform, tasks, batch, accelerator)
        counts[0, :, number // windows.windows_per_video] += right.sum(dim=1)
        counts[1, :, number // windows.windows_per_video] += batch.valid.to(accelerator.device).sum()
    model.train(was_training)
    right_by_video, clips_by_video = accelerator.reduce(counts, "sum").cpu().numpy().astype(np.int64)
    return {
        name: clustered_accuracy(right_by_video[index], clips_by_video[index], 1 / tasks.enabled()[name].num_labels)
        for index, name in enumerate(names)
    }


def judge(
    model: PretextModel, transform: ClipTransform, tasks: PretextTasks, batch: Batch, accelerator: Accelerator
) -> Tensor:
    """float (tasks, clips): 1 where a task's answer is right, 0 where it is wrong or the clip could not be read."""
    device = accelerator.device
    labels, valid = batch.labels.to(device), batch.valid.to(device)
    with accelerator.autocast():
        outputs = model(device_clips(batch, transform, device))
    right = [task.correct(outputs[name], labels[i]) for i, (name, task) in enumerate(tasks.enabled().items())]
    return torch.stack(right).float() * valid


def device_clips(batch: Batch, transform: ClipTransform, device: torch.device) -> Tensor:
    """A batch's clips, task by task, on the device and ready for the backbone: float32 (tasks * clips, 3, T, H, W)."""
    flat = rearrange(batch.clips.to(device, non_blocking=True), "tasks clips ... -> (tasks clips) ...")
    augmentation = [
        rearrange(part.to(device, non_blocking=True), "tasks clips ... -> (tasks clips) ...")
        for part in batch.augmentation
    ]
    clips = transform(flat, augmentation)
    return clips.contiguous(memory_format=torch.channels_last_3d)
