"""The road of an ablation: look at everything, build the segment caches, train what is missing, compare."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from downstream.ablation.config import AblationConfig
from downstream.ablation.grid import Cell, Failure, check_warmup, make_cells, refuse_other_settings
from downstream.ablation.results import Ablation, evaluate_cell, make_rows
from downstream.ablation.spatial_results import evaluate_where
from downstream.ablation.tables import as_csv, latex, markdown, terminal
from downstream.ablation.workers import Job, Stopped, environments, last_lines, run_jobs, stopping_on_signals
from downstream.detector.model import check_detector
from downstream.detector.objective import check_objective
from downstream.evaluation.choose_videos import has_ground_truth, open_listed
from downstream.evaluation.references import References, evaluate_references
from downstream.evaluation.spatial_evaluation import SpatialEvaluation
from downstream.evaluation.temporal_evaluation import TemporalEvaluation
from downstream.features.feature_spec import Grid
from downstream.references.of_features import reference_names, write_feature_references
from downstream.training.config import FinetuneConfig
from downstream.training.feature_source import FeatureSource, open_features, without_features
from pretrain.accelerator import check_device
from pretrain.data.catalogue import Catalogue
from pretrain.environment import precision_of
from pretrain.errors import UserError
from pretrain.files import write_json, write_text
from pretrain.folder_lock import only_writer_in
from pretrain.run_folder import as_json

Tests = dict[str, Catalogue | None]
"""Cell -> the test videos it is scored on; None where they have no ground truth."""


def ablate(config: AblationConfig) -> int:
    """Train and compare all cells. Exit status: 0 all done, 1 a cell failed, 128 + signal when stopped by one."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(
            "ablation starts its own processes, one a core or GPU: start it by itself, not by accelerate launch"
        )
    precision = precision_of(config.finetune.precision, os.environ)
    check_device(config.finetune.device, precision)
    config = replace(config, finetune=replace(config.finetune, precision=precision))
    try:
        with stopping_on_signals(), only_writer_in(config.finetune.output):
            return _ablate(config)
    except Stopped as stopped:
        print(f"stopped by {stopped}: runs that had begun saved their state; go on with the same command", flush=True)
        return 128 + stopped.number


def _ablate(config: AblationConfig) -> int:
    cells, failures = make_cells(config)
    refuse_other_settings(cells)
    for failure in failures:
        report(failure)
    cells, tests = prepare_cells(cells, failures)
    if not cells:
        raise none_left("no cell of the grid can be trained", failures)
    train(cells, config, failures)
    ablation = evaluate(cells, tests, config, failures)
    write(ablation)
    print(terminal(ablation), flush=True)
    return 1 if failures else 0


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
    where = environments(plain.device, config.per_gpu, config.workers, len(jobs))
    print(
        f"{len(cells)} cells x {len(plain.seeds)} seed(s): {len(jobs)} of {len(runs)} runs to do, {len(where)} at a "
        f"time; each writes to {plain.output}/cells/<features>/<cell>/seed-*/output.log",
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


def evaluate(cells: Sequence[Cell], tests: Tests, config: AblationConfig, failures: Sequence[Failure]) -> Ablation:
    """Every cell whose seeds are all done, on the test videos and, where it says where, on their boxes."""
    evaluations: dict[str, TemporalEvaluation | None] = {}
    located: dict[str, SpatialEvaluation] = {}
    not_located: dict[str, str] = {}
    finished = [cell for cell in cells if all(cell.done(seed) for seed in config.finetune.seeds)]
    references = evaluate_references_of(finished, tests) if config.finetune.references else {}
    for cell in tqdm(finished, desc="evaluating", unit="cell", disable=None):
        evaluations[cell.name] = evaluate_cell(cell, tests[cell.name], references.get(cell.features))
        try:
            if (where := evaluate_where(cell, tests[cell.name])) is not None:
                located[cell.name] = where
        except UserError as error:  # wrong boxes are found out after hours of training: the other figures stand
            not_located[cell.name] = str(error)
    rows = make_rows(cells, evaluations, located, config.finetune.seeds)
    return Ablation(
        config=config,
        rows=rows,
        failures=failures,
        not_located=not_located,
        references={features: found.evaluations for features, found in references.items()},
    )


def evaluate_references_of(cells: Sequence[Cell], tests: Tests) -> dict[str, References]:
    """Feature set -> what needs no learning on its test videos; kept in the folders of all its cells.

    Features are as the first of its cells sees them: a variant may normalise them otherwise.
    """
    found: dict[str, References] = {}
    for features in dict.fromkeys(cell.features for cell in cells):
        own = [cell for cell in cells if cell.features == features]
        test, first = tests[own[0].name], own[0]
        if test is None:
            continue
        runs = [cell.run for cell in own]
        stored = open_features(first.config.features)
        missing = without_features(stored, [video.name for video in test if video.name not in stored.videos])
        if not all(run.has_references(reference_names(stored)) for run in runs):
            train = open_listed(first.config.catalogue).subset("train")
            write_feature_references(runs, stored, train, list(test.without(set(missing))))
        found[features] = evaluate_references(first.run.read_references(), test, first.config.evaluation, missing)
    return found


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


def write(ablation: Ablation) -> None:
    """The table in four forms, and the configuration, in the output folder."""
    output, forms = ablation.config.finetune.output, (markdown(ablation), latex(ablation), as_csv(ablation))
    write_forms(output, "ablation", ablation.config, ablation.as_json(), forms)


def write_forms(output: Path, name: str, config: Any, content: Mapping[str, Any], forms: tuple[str, str, str]) -> None:
    """A configuration, and results called `name` as JSON and as the `forms` Markdown, LaTeX and CSV."""
    write_json(output / "config.json", as_json(config))
    write_json(output / f"{name}.json", content)
    for suffix, text in zip((".md", ".tex", ".csv"), forms, strict=True):
        write_text(output / f"{name}{suffix}", text)
    print(f"written to {output}: {name}.json, .md, .tex, .csv", flush=True)
