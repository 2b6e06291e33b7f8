"""Losses and speed between two lines of the log."""

from __future__ import annotations

import time

import torch
from accelerate import Accelerator
from torch import Tensor


class Meter:
    """Sums between two lines of the log; numbers leave the device only when a line is made."""

    def __init__(self, total_steps: int, clips_per_step: int) -> None:
        self.total_steps, self.clips_per_step = total_steps, clips_per_step
        self.began = self.since = time.perf_counter()
        self.data_seconds = 0.0
        self.steps = 0
        self.sums: dict[str, Tensor] = {}
        self._left = time.perf_counter()

    def add(self, parts: dict[str, Tensor]) -> None:
        """Count a step."""
        self.steps += 1
        for key, value in parts.items():
            self.sums[key] = self.sums.get(key, torch.zeros_like(value)) + value
        self._left = time.perf_counter()

    def resume(self) -> None:
        """Time since the last step went into validation or saving, not training."""
        self.since += time.perf_counter() - self._left
        self._left = time.perf_counter()

    def total_seconds(self) -> float:
        """Seconds since the loop began."""
        return time.perf_counter() - self.began

    def values(self, step: int, accelerator: Accelerator) -> dict[str, float]:
        """Means since the last call, over all processes."""
        seconds = time.perf_counter() - self.since
        sums = accelerator.reduce(torch.stack(list(self.sums.values())), "mean").tolist()
        means = {f"train/{key}": value / self.steps for key, value in zip(self.sums, sums, strict=True)}
        speed = {
            "speed/clips_per_second": self.steps * self.clips_per_step / seconds,
            "speed/step_seconds": seconds / self.steps,
            "speed/data_wait_share": self.data_seconds / seconds,
            "speed/seconds_left": seconds / self.steps * (self.total_steps - step),
        }
        self.since, self.data_seconds, self.steps, self.sums = time.perf_counter(), 0.0, 0, {}
        return means | speed
