"""A backbone, a head for every task, and the sum of their losses."""

from __future__ import annotations

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from pretext_tasks import PretextTasks
from pretrain.backbones import Backbone


class PretextModel(nn.Module):
    """One forward pass of the backbone for the clips of all tasks; each task's head sees its own clips."""

    def __init__(self, backbone: Backbone, tasks: PretextTasks, *, on_maps: bool = False) -> None:
        super().__init__()
        self.backbone = backbone
        self.on_maps = on_maps
        """Given are kept maps of the frozen image network (clips, D, T, h, w), not pixels."""
        self.tasks = tasks
        spec = backbone.spec
        self.heads = nn.ModuleDict(
            {name: task.head(spec.feature_dim, spec.clip.frames) for name, task in tasks.enabled().items()}
        )

    def forward(self, clips: Tensor) -> dict[str, Tensor]:
        """Normalised clips `(windows * clips_per_window, 3, T, H, W)`, window by window, to each task's output."""
        maps = (self.backbone.mixed(clips) if self.on_maps else self.backbone(clips)).float()
        by_window = rearrange(maps, "(windows clips) ... -> windows clips ...", clips=self.tasks.clips_per_window)
        return {name: self.heads[name](features) for name, features in self.tasks.split(by_window).items()}


def objective(
    tasks: PretextTasks, outputs: dict[str, Tensor], labels: Tensor, valid: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the tasks' losses, and its parts.

    `labels` (windows, clips_per_window), `valid` (windows,) with 0 for windows that could not be read. Each mean
    divides by the number of clips asked for, valid or not: so the mean over processes is the mean over all clips,
    whoever read the bad one. Returns the scalar and, detached, per task: `<task>/<part>` scalars and `<task>/accuracy`.
    """
    total = torch.zeros((), device=valid.device)
    parts: dict[str, Tensor] = {}
    counts = tasks.split(repeat(valid, "windows -> windows clips", clips=tasks.clips_per_window))
    for name, task_labels in tasks.split(labels).items():
        task, counted = tasks.enabled()[name], counts[name]
        for part, per_clip in task.loss(outputs[name].float(), task_labels).items():
            # where, not a product: 0 * nan is nan, and an unread clip must not count
            mean = torch.where(counted > 0, per_clip, 0.0).mean()
            parts[f"{name}/{part}"] = mean.detach()
            if part == "loss":
                total = total + task.weight * mean
        right = task.correct(outputs[name], task_labels).float() * counted
        parts[f"{name}/accuracy"] = right.sum() / counted.sum().clamp(min=1)
    return total, parts
