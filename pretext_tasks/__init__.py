"""The pretext tasks, one file each, and the dataclass that holds them: one typed field a task.

To add a task: its file, one field here, its test. It starts with weight 0: nobody's run changes by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np

from pretext_tasks.abrupt_change import AbruptChange
from pretext_tasks.arrow_of_time import ArrowOfTime
from pretext_tasks.base import ClipGeometry, ClipSample, PretextTask, require
from pretext_tasks.plugins import find_plugins, with_fields, wrong_settings
from pretext_tasks.speed import Speed
from pretext_tasks.temporal_order import TemporalOrder

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "AbruptChange",
    "ArrowOfTime",
    "ClipGeometry",
    "ClipSample",
    "PretextTask",
    "PretextTasks",
    "Speed",
    "TemporalOrder",
]


@dataclass(frozen=True, kw_only=True)
class PretextTasks:
    """The tasks of a run. All that are enabled draw from one window of a video and share one forward pass.

    Four tasks: "Anomaly-aware self-supervised pretraining", Computer Vision and Image Understanding 257 (2025).
    How each is posed is our definition; see the files.
    """

    temporal_order: TemporalOrder = field(default_factory=TemporalOrder)
    speed: Speed = field(default_factory=Speed)
    arrow_of_time: ArrowOfTime = field(default_factory=ArrowOfTime)
    abrupt_change: AbruptChange = field(default_factory=AbruptChange)

    def __post_init__(self) -> None:
        for name, task in self.by_name().items():
            require(task.weight >= 0, f"tasks.{name}.weight is {task.weight}; it must be 0 (off) or more")
        require(bool(self.enabled()), "every task's weight is 0: give at least one of them a weight above 0")

    def by_name(self) -> dict[str, PretextTask]:
        """All tasks, also those that are off, in the order of the fields."""
        return {task_field.name: getattr(self, task_field.name) for task_field in fields(self)}

    def enabled(self) -> dict[str, PretextTask]:
        """The tasks with a weight above 0, by name, in the order of the fields."""
        return {name: task for name, task in self.by_name().items() if task.weight > 0}

    def min_window(self, clip_frames: int, stride_frames: int) -> int:
        """The shortest window, in frames, in which every enabled task can be posed."""
        return max(task.min_window(clip_frames, stride_frames) for task in self.enabled().values())

    @property
    def clips_per_window(self) -> int:
        """Clips of all enabled tasks from one window."""
        return sum(task.clips_per_window for task in self.enabled().values())

    def split(self, stacked: Tensor) -> dict[str, Tensor]:
        """`(windows, clips_per_window, ...)` to each task's own `(windows * its clips, ...)`."""
        tasks = self.enabled()
        parts = stacked.split([task.clips_per_window for task in tasks.values()], dim=1)
        return {name: part.flatten(0, 1) for name, part in zip(tasks, parts, strict=True)}

    def sample(
        self, geometry: ClipGeometry, rng: np.random.Generator, labels: dict[str, int] | None = None
    ) -> dict[str, ClipSample]:
        """The clips of every enabled task from one window; `labels` may fix the class of some."""
        fixed = labels or {}
        return {name: task.sample(geometry, rng, fixed.get(name)) for name, task in self.enabled().items()}

    def without_signal(self, samples: dict[str, ClipSample], geometry: ClipGeometry) -> dict[str, ClipSample]:
        """Every task's control of what `sample` gave."""
        return {name: task.without_signal(samples[name], geometry) for name, task in self.enabled().items()}


def _wrong_task(thing: type[PretextTask]) -> str:
    return wrong_settings(thing) or ("" if isinstance(thing(), PretextTask) else f"{thing!r} is no PretextTask")


_OWN = [each.name for each in fields(PretextTasks)]
PretextTasks = with_fields(PretextTasks, find_plugins("pretext_tasks", _OWN, _wrong_task))  # type: ignore[misc]
