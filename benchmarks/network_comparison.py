"""What benchmarks share that pretrain a network and compare it with itself untrained: arms, weights, intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from pretext_tasks import PretextTasks
from pretrain.errors import UserError

TASKS = tuple(entry.name for entry in fields(PretextTasks))
ARMS = ("random", "all", *TASKS, *(f"without_{task}" for task in TASKS))
"""Starts: random weights, all tasks, each alone, all but one."""
STUDENT_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Of 1, 2, ... degrees of freedom."""


def task_flags(arm: str) -> list[str]:
    """Flags of pretraining that switch off the tasks an arm does without."""
    off = [task for task in TASKS if (arm in TASKS and task != arm) or arm == f"without_{task}"]
    return [part for task in off for part in (f"--tasks.{task}.weight", "0")]


def given_weights(entries: Sequence[str]) -> dict[str, str]:
    """Name -> folder, of entries `name=FOLDER`; UserError where one is none."""
    given = dict(entry.split("=", 1) for entry in entries if "=" in entry)
    if len(given) < len(entries):
        raise UserError(f"--weights {' '.join(entries)}: give name=FOLDER")
    return given


def paired_half_width(differences: NDArray[np.float64]) -> float | None:
    """Half of the 95 % interval of a mean difference over networks (Student's t); None for a single network."""
    count = len(differences)
    if count < 2:
        return None
    quantile = STUDENT_975[min(count - 1, len(STUDENT_975)) - 1]
    return float(quantile * differences.std(ddof=1) / math.sqrt(count))


def spread(values: NDArray[np.float64]) -> str:
    """Mean and deviation."""
    return f"{values.mean():.3f}" + (f" +- {values.std(ddof=1):.3f}" if len(values) > 1 else "")


def gain(differences: NDArray[np.float64]) -> str:
    """Mean difference and the half width of its interval."""
    half = paired_half_width(differences)
    return f"{differences.mean():+.3f}" + ("" if half is None else f" +- {half:.3f}")
