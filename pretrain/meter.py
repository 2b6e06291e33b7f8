"""Losses and speed between two lines of the log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor


class Means:
    """Means of the values of steps since the last line of the log; numbers leave the device only when one is made.

    What was summed so far is part of a run's state: a line after a resume tells of the same steps as if there had been
    none.
    """

    def __init__(self, before: Mapping[str, Any] | None = None) -> None:
        """`before`: what `so_far` gave when the state was saved that the run goes on from."""
        self.steps = int(before["steps"]) if before else 0
        self._before: dict[str, float] = dict(before["sums"]) if before else {}
        self._sums: dict[str, Tensor] = {}

    def add(self, parts: Mapping[str, Tensor]) -> None:
        """Count a step."""
        self.steps += 1
        for key, value in parts.items():
            if key not in self._sums:
                self._sums[key] = torch.full_like(value, self._before.pop(key, 0.0))
            self._sums[key] = self._sums[key] + value

    def take(self, accelerator: Accelerator) -> dict[str, float]:
        """Means over steps and processes, and a new beginning. To be called by all processes."""
        steps, sums = self.steps, self._over_processes(accelerator)
        self.steps, self._sums, self._before = 0, {}, {}
        return {key: value / steps for key, value in sums.items()}

    def so_far(self, accelerator: Accelerator) -> dict[str, Any]:
        """What was summed, for a state, as JSON values. To be called by all processes."""
        return {"steps": self.steps, "sums": self._over_processes(accelerator)}

    def _over_processes(self, accelerator: Accelerator) -> dict[str, float]:
        if not self._sums:
            return dict(self._before)
        stacked = torch.stack([value.double() for value in self._sums.values()])
        sums: list[float] = accelerator.reduce(stacked, "mean").tolist()
        return dict(zip(self._sums, sums, strict=True))


class Meter:
    """Means and speed between two lines of the log."""

    def __init__(self, total_steps: int, clips_per_step: int, before: Mapping[str, Any] | None = None) -> None:
        self.total_steps, self.clips_per_step = total_steps, clips_per_step
        self.means = Means(before)
        self.began = self.since = time.perf_counter()
        self.data_seconds = 0.0
        self.steps = 0
        self._left = time.perf_counter()

    def begin(self) -> None:
        """The loop begins."""
        self.began = self.since = self._left = time.perf_counter()

    def add(self, parts: dict[str, Tensor]) -> None:
        """Count a step."""
        self.steps += 1
        self.means.add(parts)
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
        means = {f"train/{key}": value for key, value in self.means.take(accelerator).items()}
        speed = {
            "speed/clips_per_second": self.steps * self.clips_per_step / seconds,
            "speed/step_seconds": seconds / self.steps,
            "speed/data_wait_share": self.data_seconds / seconds,
            "speed/seconds_left": seconds / self.steps * (self.total_steps - step),
        }
        self.since, self.data_seconds, self.steps = time.perf_counter(), 0.0, 0
        return means | speed
