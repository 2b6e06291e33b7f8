"""Flags and settings that have got other names: the old ones say so, for one release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pretrain.errors import UserError
from pretrain.flags import flag_names

RENAMED = {
    "tasks.order": "tasks.temporal-order",
    "objective.contrastive": "objective.contrastive-clustering",
    "objective.cross-batch": "objective.cross-batch-clustering",
    "detector.smooth": "detector.score-smoothing",
    "held-out-fraction": "validation-fraction",
    "held-out-by": "validation-by",
    "held-out-windows": "validation-windows",
    "data.held-out-fraction": "data.validation-fraction",
    "data.held-out-by": "data.validation-by",
    "together": "ensemble",
    "new-groups": "unseen-groups",
    "merge-gap-frames": "merge-seconds",
    "min-event-frames": "min-seconds",
    "evaluation.merge-gap-frames": "evaluation.merge-seconds",
    "evaluation.min-event-frames": "evaluation.min-seconds",
}
"""Old name of a flag, or of a section of flags, since version 0.1.0 -> the new one."""


def refuse_renamed(arguments: Sequence[str], config: type[Any]) -> None:
    """UserError for a flag under its old name. A name that the command has as it is, is none of that."""
    for argument in arguments:
        if not argument.startswith("--"):
            continue
        flag = argument[2:].partition("=")[0].replace("_", "-")
        section, dot, last = flag.rpartition(".")
        for old in (flag, f"{section}{dot}{last.removeprefix('no-')}"):
            new = new_name(old)
            if new is not None and old not in flag_names(config):
                in_files = new.replace("-", "_")
                raise UserError(f"--{old} is now called --{new} (in files: {in_files}); give it under that name")


def new_name(old: str) -> str | None:
    """The name that a flag has now; None where it has not been renamed."""
    for before, after in RENAMED.items():
        if old == before or old.startswith(f"{before}."):
            return after + old[len(before) :]
    return None
