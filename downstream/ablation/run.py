"""The road of an ablation: look at everything, build the segment caches, train what is missing, compare."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from downstream.ablation.config import AblationConfig
from downstream.ablation.grid import Cell, Failure, make_cells, refuse_other_settings
from downstream.ablation.results import Ablation, evaluate_cell, make_rows
from downstream.ablation.search import search
from downstream.ablation.spatial_results import evaluate_where
from downstream.ablation.tables import as_csv, latex, markdown, terminal
from downstream.ablation.train import Tests, none_left, prepare_cells, report, train
from downstream.ablation.workers import Stopped, stopping_on_signals
from downstream.evaluation.choose_videos import open_listed
from downstream.evaluation.references import References, evaluate_references
from downstream.evaluation.spatial_evaluation import SpatialEvaluation
from downstream.evaluation.temporal_evaluation import TemporalEvaluation
from downstream.references.of_features import reference_names, write_feature_references
from downstream.training.feature_source import open_features, without_features
from pretrain.accelerator import check_device
from pretrain.environment import precision_of
from pretrain.errors import UserError
from pretrain.files import write_json, write_text
from pretrain.folder_lock import only_writer_in
from pretrain.run_folder import as_json


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
    searched = search(cells, config, failures) if config.search else None
    cells = cells if searched is None else searched.to_compare
    cells, tests = prepare_cells(cells, failures)
    if not cells:
        raise none_left("no cell of the grid can be trained", failures)
    train(cells, config, failures)
    ablation = evaluate(cells, tests, config, failures)
    write(ablation)
    print(terminal(ablation), flush=True)
    return 1 if failures else 0


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
