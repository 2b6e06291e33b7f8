"""A backbone, a head for every task, and the sum of their losses."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from pretext_tasks import PretextTasks
from pretrain.backbones import Backbone


class PretextModel(nn.Module):
    """One forward pass of the backbone for the clips of all tasks; each task's head sees its own clips."""

    def __init__(self, backbone: Backbone, tasks: PretextTasks) -> None:
        super().__init__()
        self.backbone = backbone
        spec = backbone.spec
        self.heads = nn.ModuleDict(
            {name: task.head(spec.feature_dim, spec.clip_frames) for name, task in tasks.enabled().items()}
        )

    def forward(self, clips: Tensor) -> dict[str, Tensor]:
        """Normalised clips `(tasks * clips, 3, T, H, W)`, task by task, to each task's output."""
        maps = rearrange(self.backbone(clips), "(tasks clips) ... -> tasks clips ...", tasks=len(self.heads))
        return {name: head(features) for (name, head), features in zip(self.heads.items(), maps.float(), strict=True)}


def objective(
    tasks: PretextTasks, outputs: dict[str, Tensor], labels: Tensor, valid: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the tasks' losses, and its parts.

    `labels` (tasks, clips), `valid` (clips,) with 0 for clips that could not be read. Each mean divides by the number of
    clips asked for, valid or not: so the mean over processes is the mean over all clips, whoever read the bad one.
    Returns the scalar and, detached, per task: `<task>/<part>` scalars and `<task>/accuracy`.
    """
    total = torch.zeros((), device=valid.device)
    parts: dict[str, Tensor] = {}
    for (name, task), task_labels in zip(tasks.enabled().items(), labels, strict=True):
        for part, per_clip in task.loss(outputs[name].float(), task_labels).items():
            # where, not a product: 0 * nan is nan, and an unread clip must not count
            mean = torch.where(valid > 0, per_clip, 0.0).mean()
            parts[f"{name}/{part}"] = mean.detach()
            if part == "loss":
                total = total + task.weight * mean
        right = task.correct(outputs[name], task_labels).float() * valid
        parts[f"{name}/accuracy"] = right.sum() / valid.sum().clamp(min=1)
    return total, parts
