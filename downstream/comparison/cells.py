"""Each detector of a comparison as a cell of an ablation, whose machine trains and evaluates it.

Fewer steps for all mean a shorter wait too: a term that its preset switches on after a fifth of the training (hard
mining of ours) comes on after a fifth of the shorter one, unless that was said as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from downstream.ablation.grid import Cell, Failure, parse_quietly
from downstream.comparison.config import CompareConfig, Request
from downstream.comparison.named import Choice
from downstream.detector.terms import terms_on
from downstream.training.config import FinetuneConfig
from pretrain.cli import flags_of
from pretrain.errors import UserError


def make_cells(request: Request, prog: str) -> tuple[list[Cell], list[Failure]]:
    """The detectors in the order of the table, and those whose settings do not go together."""
    config, given = request
    cells, failures = [], []
    for choice in config.choices():
        try:
            cells.append(cell_of(config, choice, given, prog))
        except UserError as error:
            failures.append(Failure(f"{config.features}/{choice.folder}", None, str(error)))
    return cells, failures


def cell_of(config: CompareConfig, choice: Choice, given: Sequence[str], prog: str) -> Cell:
    """A detector as a cell of the table: its preset, then what was given for all. UserError where that cannot be."""
    own = parse_quietly(CompareConfig, [*flags_of(choice.settings), *given], prog).finetune
    first_steps = first_steps_of(choice, own, given, prog)
    objective = own.objective
    for name, step in first_steps.items():
        term = dataclasses.replace(getattr(objective, name), warmup_steps=step)
        objective = dataclasses.replace(objective, **{name: term})
    own = dataclasses.replace(own, objective=objective)
    output = config.finetune.output / "cells" / config.features / choice.folder
    cache = own.bags.cache or config.finetune.output / "segments"
    own = dataclasses.replace(own, output=output, resume=True, bags=dataclasses.replace(own.bags, cache=cache))
    return Cell(features=config.features, base=choice.name, terms="base", variant=None, config=own)


def first_steps_of(choice: Choice, own: FinetuneConfig, given: Sequence[str], prog: str) -> dict[str, int]:
    """Term -> the step at which it comes on instead of its preset's, where fewer steps were given for all.

    `own`: the detector's settings with those; a term whose `warmup_steps` were given has these.
    """
    preset = parse_quietly(FinetuneConfig, flags_of(choice.settings), prog)
    if own.optim.steps >= preset.optim.steps:
        return {}
    said = {flag.partition("=")[0].lstrip("-").replace("_", "-") for flag in given}
    steps = {}
    for name in terms_on(own.objective):
        whole = getattr(getattr(preset.objective, name), "warmup_steps", 0)
        if whole and f"objective.{name}.warmup-steps".replace("_", "-") not in said:
            steps[name] = whole * own.optim.steps // preset.optim.steps
    return steps


def describe_first_steps(cells: Sequence[Cell], request: Request, prog: str) -> list[str]:
    """A line for each detector whose terms come on sooner than its preset says."""
    choices = {choice.name: choice for choice in request.config.choices()}
    return [
        f"{cell.base}: {name} comes on at step {step} of {cell.config.optim.steps}, the share of its preset"
        for cell in cells
        for name, step in first_steps_of(choices[cell.base], cell.config, request.given, prog).items()
    ]
