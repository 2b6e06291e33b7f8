"""Flags and settings that have got other names, or none any more: the old ones say so, for one release."""

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
}
"""Old name of a flag, or of a section of flags, since version 0.1.0 -> the new one."""
OF_ANOTHER_UNIT = {
    f"{section}{old}": f"{section}{new}"
    for section in ("", "evaluation.")
    for old, new in (("merge-gap-frames", "merge-seconds"), ("min-event-frames", "min-seconds"))
}
"""Old name of a flag that counted frames -> the one that counts seconds."""
CONSTANT = {
    *("optim.final-lr-share", "optim.clip-norm", "detector.layers", "detector.heads", "objective.teacher-momentum"),
    *(f"objective.contrastive.{name}" for name in ("projection-dim", "iterations", "max-instances")),
}
"""Flags that are none any more, since nobody turned them; fine-tuning still has those of `optim`."""


def refuse_renamed(arguments: Sequence[str], config: type[Any]) -> None:
    """UserError for a flag under its old name. A name that the command has as it is, is none of that."""
    flags = flag_names(config)
    for argument in arguments:
        if not argument.startswith("--"):
            continue
        flag = argument[2:].partition("=")[0].replace("_", "-")
        section, dot, last = flag.rpartition(".")
        for old in (flag, f"{section}{dot}{last.removeprefix('no-')}"):
            if problem := _problem(old, flags):
                raise UserError(problem)


def _problem(old: str, flags: Sequence[str]) -> str | None:
    """What to say of a flag that the command once had; None where it has it, or where it never did."""
    section = old.partition(".")[0]
    if old in flags:
        return None
    if old in CONSTANT and any(name.startswith(f"{section}.") for name in flags):
        return f"--{old} is a constant now: leave it out"
    if (seconds := OF_ANOTHER_UNIT.get(old)) in flags:
        return f"--{old} counted frames; give --{seconds}, in seconds, in its place"
    if (new := new_name(old)) in flags:
        return f"--{old} is now called --{new} (in files: {str(new).replace('-', '_')}); give it under that name"
    return None


def new_name(old: str) -> str | None:
    """The name that a flag has now; None where it has not been renamed."""
    for before, after in RENAMED.items():
        if old == before or old.startswith(f"{before}."):
            return after + old[len(before) :]
    return None
