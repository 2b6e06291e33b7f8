"""The cells of a grid, trained: whether each can be is looked at before any is, then a process a core or GPU."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import NamedTuple

from tqdm import tqdm

from downstream.ablation.config import AblationConfig
from downstream.ablation.grid import Cell, Failure, check_warmup
from downstream.ablation.workers import Job, environments, last_lines, run_jobs
from downstream.detector.model import check_detector
from downstream.detector.objective import check_objective
from downstream.evaluation.choose_videos import has_ground_truth
from downstream.features.feature_spec import Grid
from downstream.training.config import FinetuneConfig
from downstream.training.feature_source import FeatureSource, open_features
from pretrain.data.catalogue import Catalogue
from pretrain.errors import UserError
from pretrain.run_folder import as_json

Tests = dict[str, Catalogue | None]
"""Cell -> the test videos it is scored on; None where they have no ground truth."""


def prepare_cells(cells: Sequence[Cell], failures: list[Failure]) -> tuple[list[Cell], Tests]:
    """The cells whose features and lists fit, and their test videos; the others become failures.

    The segment cache of each is there afterwards: workers open it and none builds it.
    """
    fine: list[Cell] = []
    unfit: list[Failure] = []
    tests: Tests = {}
    known: dict[str, Prepared | UserError] = {}
    for cell in tqdm(cells, desc="preparing", unit="cell", disable=None):
        key = _key(cell.config)
        if key not in known:
            try:
                known[key] = _prepare(cell.config)
            except UserError as error:
                known[key] = error
        prepared = known[key]
        try:
            if isinstance(prepared, UserError):
                raise prepared
            check_objective(cell.config.objective, prepared.grid)
            check_detector(cell.config.detector, prepared.grid)
            check_warmup(cell)
        except UserError as error:
            unfit.append(Failure(cell.name, None, str(error)))
            continue
        fine.append(cell)
        tests[cell.name] = prepared.test
    failures += unfit
    if fine or len({failure.text for failure in failures}) > 1:  # else it is one error, and not one a cell
        for failure in unfit:
            report(failure)
    return fine, tests


def none_left(what: str, failures: Sequence[Failure]) -> UserError:
    """The error of a grid of which no cell is left, for the same reason or for several."""
    first = failures[0]
    if len({failure.text for failure in failures}) == 1:
        return UserError(f"{what}: {first.text}")
    return UserError(f"{what}; the first: {first.cell}: {first.text}")


def _key(config: FinetuneConfig) -> str:
    """Equal for cells that have videos, features and segments in common."""
    parts = ("catalogue.", "features.", "bags.", "validation", "split_seed", "score_test")
    return json.dumps({key: value for key, value in as_json(config).items() if key.startswith(parts)})


class Prepared(NamedTuple):
    """What cells of the same `_key` share."""

    test: Catalogue | None
    """Test videos, where they can be evaluated."""
    grid: Grid | None


def _prepare(config: FinetuneConfig) -> Prepared:
    source = FeatureSource.of_features(open_features(config.features), config)
    source.build_segments()
    test = source.videos.test
    scored = test.without(set(source.videos.left_out))
    return Prepared(test if config.score_test and has_ground_truth(scored) else None, source.features.grid)


def train(cells: Sequence[Cell], config: AblationConfig, failures: list[Failure]) -> None:
    """Every seed of every cell that is not done yet; what goes wrong is reported and put on the list."""
    plain = config.finetune
    runs = [(cell, seed) for cell in cells for seed in plain.seeds]
    jobs = [
        Job(cell.name, seed, as_json(one_seed(cell.config, seed)), cell.run.seed(seed).output)
        for cell, seed in runs
        if not cell.done(seed)
    ]
    if not jobs:
        print(f"all {len(runs)} runs of {len(cells)} cells were done before", flush=True)
        return
    below = (
        plain.output / "search" / "part-*"
        if plain.output / "search" in cells[0].config.output.parents
        else plain.output
    )
    where = environments(plain.device, config.per_gpu, config.workers, len(jobs))
    print(
        f"{len(cells)} cells x {len(plain.seeds)} seed(s): {len(jobs)} of {len(runs)} runs to do, {len(where)} at a "
        f"time; each writes to {below}/cells/<features>/<cell>/seed-*/output.log",
        flush=True,
    )
    bar = tqdm(total=len(runs), initial=len(runs) - len(jobs), desc="training", unit="run", disable=None)
    with bar, closing(run_jobs(jobs, where)) as results:
        for job, status, error in results:
            if status:
                text = error or f"exit status {status}:\n{last_lines(job.log)}"
                failures.append(Failure(job.cell, job.seed, text))
                report(failures[-1])
                bar.set_postfix(failed=len(failures))
            bar.update()
    for cell in cells:  # each run wrote it with its own seed alone
        cell.run.write_config(cell.config)


def one_seed(config: FinetuneConfig, seed: int) -> FinetuneConfig:
    """What a worker is given. The cell is evaluated once, when all its seeds are done: here without draws, plots or
    references."""
    evaluation = replace(config.evaluation, resamples=0)
    return replace(config, seeds=(seed,), plots=False, references=False, evaluation=evaluation)


def report(failure: Failure, count: int = 6) -> None:
    """Name a failed cell with the first and the last lines of what it said."""
    seed = "" if failure.seed is None else f", seed {failure.seed}"
    lines = failure.text.strip().splitlines()
    if len(lines) > count + 2:
        lines = [lines[0], "...", *lines[-count:]]
    tqdm.write("\n".join([f"failed: {failure.cell}{seed}", *(f"  {line}" for line in lines)]))
