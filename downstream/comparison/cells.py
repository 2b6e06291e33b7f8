"""Each detector of a comparison as a cell of an ablation, whose machine trains and evaluates it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from downstream.ablation.grid import Cell, Failure, parse_quietly
from downstream.comparison.config import CompareConfig, Request
from downstream.comparison.named import Choice
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
    output = config.finetune.output / "cells" / config.features / choice.folder
    cache = own.bags.cache or config.finetune.output / "segments"
    own = dataclasses.replace(own, output=output, resume=True, bags=dataclasses.replace(own.bags, cache=cache))
    return Cell(features=config.features, base=choice.name, terms="base", variant=None, config=own)
