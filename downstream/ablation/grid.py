"""The cells of an ablation: one fine-tuning configuration each."""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from downstream.ablation.config import (
    SWITCHED,
    AblationConfig,
    named_features,
    named_variants,
    terms_of,
)
from downstream.detector.loss_config import BaseName, ObjectiveConfig
from downstream.detector.terms import TERMS, terms_on
from downstream.runs.run_folder import RunFolder
from downstream.training.config import FREE_TO_CHANGE, FinetuneConfig
from pretrain.cli import Config, parse
from pretrain.errors import UserError, problem_list
from pretrain.run_folder import as_json, changed_settings

FIXED = (
    "catalogue.",
    "videos.",
    "self_training.",
    "evaluation.",
    "output",
    "seeds",
    "resume",
    "bags.cache",
    "device",
    "score_test",
    "references",
    "features.allow_missing",
    "objective.base",
    "ceiling",
)
"""What a variant may not change: cells are compared on the same videos, labels and seeds."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One row of the table to be."""

    features: str
    base: str
    terms: str
    variant: str | None
    config: FinetuneConfig

    @property
    def name(self) -> str:
        """`i3d/topk_bce-all`: what its folder is called."""
        return "/".join(self.config.output.parts[-2:])

    @property
    def method(self) -> str:
        """Terms and variant, for the table."""
        if self.variant is None:
            return self.terms
        return self.variant if self.terms == "base" else f"{self.terms}: {self.variant}"

    @property
    def is_reference(self) -> bool:
        """Whether others are compared with it: the base alone."""
        return not terms_of(self.terms) and self.variant is None

    @property
    def run(self) -> RunFolder:
        """Its own folder: that of a fine-tuning run."""
        return RunFolder(self.config.output)

    def done(self, seed: int) -> bool:
        """Whether that seed is trained and scored."""
        return self.run.seed(seed).is_done


class Failure(NamedTuple):
    """A cell, or one seed of it, of which nothing came."""

    cell: str
    seed: int | None
    text: str


def make_cells(config: AblationConfig) -> tuple[list[Cell], list[Failure]]:
    """Every cell of the grid, in the order of the table; and the variants whose flags are wrong.

    UserError where two cells would share a folder.
    """
    cells, failures = [], []
    variants = named_variants(config)
    for (features, sets), base in itertools.product(named_features(config).items(), config.bases):
        plain: list[tuple[str, str | None, list[str]]] = [(terms, None, []) for terms in config.terms]
        varied = [(variant.terms, variant.name, variant.flags) for variant in variants if base in variant.bases]
        for terms, variant, flags in plain + varied:
            folder = f"{base}-{terms}" + (f"-{variant}" if variant else "")
            output = config.finetune.output / "cells" / features / folder
            try:
                own = _cell_config(config, sets, base, terms, output)
                own = _with_flags(own, flags) if flags else own
            except UserError as error:
                failures.append(Failure(f"{features}/{folder}", None, str(error)))
                continue
            cells.append(Cell(features=features, base=base, terms=terms, variant=variant, config=own))
    names = [cell.name.lower() for cell in cells]  # some file systems do not tell case apart
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"two cells would share a folder; rename a variant or a feature set:\n{problem_list(doubled)}")
    return cells, failures


def _cell_config(
    config: AblationConfig, sets: tuple[Path, ...], base: BaseName, terms: str, output: Path
) -> FinetuneConfig:
    plain = config.finetune
    return replace(
        plain,
        output=output,
        resume=True,
        features=replace(plain.features, sets=sets),
        bags=replace(plain.bags, cache=plain.bags.cache or plain.output / "segments"),
        objective=_objective(plain.objective, base, terms_of(terms)),
    )


def _objective(objective: ObjectiveConfig, base: BaseName, on: Sequence[str]) -> ObjectiveConfig:
    """The objective on that base with these terms on, and those that only the grid switches otherwise off."""
    switched = {}
    for name, term in TERMS.items():
        config = getattr(objective, name)
        if name in on:
            switched[name] = replace(config, weight=config.weight or term.ablation_weight)
        elif name in SWITCHED:
            switched[name] = replace(config, weight=0.0)
    return replace(objective, base=base, **switched)


def _with_flags(config: FinetuneConfig, flags: Sequence[str]) -> FinetuneConfig:
    """The configuration with a variant's flags on top. UserError: a wrong flag, or one that may not change."""
    changed = parse_quietly(FinetuneConfig, flags, "variant", config)
    before, after = as_json(config), as_json(changed)
    fixed = [key for key in after if after[key] != before[key] and key.startswith(FIXED)]
    if fixed:
        raise UserError(
            f"a variant may not change {', '.join(fixed)}: cells are compared on the same videos, labels and seeds"
        )
    return changed


def parse_quietly(kind: type[Config], flags: Sequence[str], prog: str, default: Config | None = None) -> Config:
    """`parse`, but flags that are wrong are a UserError too: one cell cannot be made, the others can."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            return parse(kind, flags, prog, default=default)
    except SystemExit:
        # tyro draws a frame around what it says, and ends with where to find help
        lines = [line.strip(" │╭╰─╮╯|+\t") for line in said.getvalue().partition("For full help")[0].splitlines()]
        text = " ".join(line for line in lines if any(character.isalnum() for character in line))
        raise UserError(f"its flags are wrong: {text}") from None


def check_warmup(cell: Cell) -> None:
    """UserError where a term would be on in the table and never in training."""
    objective, steps = cell.config.objective, cell.config.optim.steps
    for name, term in terms_on(objective).items():
        first = term.first_step(getattr(objective, name))
        if first >= steps:
            raise UserError(
                f"objective.{name}.warmup_steps is {first} and optim.steps is {steps}: the term would never be on; set "
                "it below the steps"
            )


def refuse_other_settings(cells: Sequence[Cell]) -> None:
    """UserError where a cell's folder holds runs with settings other than those asked for now, naming them."""
    problems = []
    for cell in cells:
        before = cell.run.read_config()
        if before is None or not cell.run.is_begun:
            continue
        changed = changed_settings(before, cell.config, FREE_TO_CHANGE)
        problems += [f"{cell.name}: {key} {text}" for key, text in changed.items()]
    if problems:
        raise UserError(
            f"these cells were begun with other settings:\n{problem_list(problems)}\n"
            "Set them back, remove the cells' folders, or start anew with another --output"
        )
