"""The learning rate as a function of the step: nothing to save, nothing to step."""

from __future__ import annotations

import math
from typing import Protocol


class LRSchedule(Protocol):
    """The settings of an optimiser that its learning rate follows from."""

    @property
    def lr(self) -> float: ...
    @property
    def warmup_steps(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def final_lr_share(self) -> float: ...


def lr_at(step: int, schedule: LRSchedule) -> float:
    """Linear warm-up to `schedule.lr`, then a half cosine down to `final_lr_share` of it at `steps`.

    Step 0 already learns: warm-up reaches the peak at step `warmup_steps`, from `lr / (warmup_steps + 1)`.
    """
    peak, warmup_steps, final_share = schedule.lr, schedule.warmup_steps, schedule.final_lr_share
    if step < warmup_steps:
        return peak * (step + 1) / (warmup_steps + 1)
    progress = (step - warmup_steps) / max(1, schedule.steps - warmup_steps)
    return peak * (final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))
