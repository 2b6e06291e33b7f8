from __future__ import annotations

import pytest
import torch

from pretext_tasks import AbruptChange, ArrowOfTime, PretextTask, PretextTasks, Speed, TemporalOrder


def test_every_field_is_a_task() -> None:
    assert list(PretextTasks().enabled()) == ["temporal_order", "speed", "arrow_of_time", "abrupt_change"]
    assert all(isinstance(task, PretextTask) for task in PretextTasks().by_name().values())


def test_a_weight_of_zero_switches_a_task_off() -> None:
    assert list(PretextTasks(speed=Speed(weight=0)).enabled()) == ["temporal_order", "arrow_of_time", "abrupt_change"]


def test_messages() -> None:
    with pytest.raises(ValueError, match=r"tasks.speed.weight is -1; it must be 0 \(off\) or more"):
        PretextTasks(speed=Speed(weight=-1))
    off = {
        "temporal_order": TemporalOrder(weight=0),
        "speed": Speed(weight=0),
        "arrow_of_time": ArrowOfTime(weight=0),
        "abrupt_change": AbruptChange(weight=0),
    }
    with pytest.raises(ValueError, match="every task's weight is 0"):
        PretextTasks(**off)  # type: ignore[arg-type]


def test_clips_of_all_tasks_are_split_by_task() -> None:
    tasks = PretextTasks()
    assert tasks.clips_per_window == 5
    stacked = torch.arange(10).view(2, 5)
    parts = {name: part.tolist() for name, part in tasks.split(stacked).items()}
    assert parts == {"temporal_order": [0, 5], "speed": [1, 6], "arrow_of_time": [2, 3, 7, 8], "abrupt_change": [4, 9]}
