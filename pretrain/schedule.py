"""The learning rate as a function of the step: nothing to save, nothing to step."""

from __future__ import annotations

import math


def lr_at(step: int, *, peak: float, warmup_steps: int, total_steps: int, final_share: float) -> float:
    """Linear warm-up to `peak`, then a half cosine down to `final_share * peak` at `total_steps`.

    Step 0 already learns: warm-up reaches `peak` at step `warmup_steps`, from `peak / (warmup_steps + 1)`.
    """
    if step < warmup_steps:
        return peak * (step + 1) / (warmup_steps + 1)
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return peak * (final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))
