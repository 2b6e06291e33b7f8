"""The road of a comparison: an ablation's machine trains and evaluates, then each detector's cost is measured alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict

from tqdm import tqdm

from downstream.ablation.grid import Cell, refuse_other_settings
from downstream.ablation.run import evaluate, write_forms
from downstream.ablation.train import none_left, prepare_cells, report, train
from downstream.ablation.workers import Stopped, stopping_on_signals
from downstream.comparison.cells import describe_first_steps, make_cells
from downstream.comparison.config import Request
from downstream.comparison.cost import Cost, measure_cost
from downstream.comparison.results import Results, make_results
from downstream.comparison.tables import as_csv, latex, markdown, terminal
from pretrain.accelerator import check_device
from pretrain.environment import precision_of
from pretrain.errors import UserError
from pretrain.files import write_json
from pretrain.folder_lock import only_writer_in
from pretrain.json_shapes import WrongShape, check, of_type
from pretrain.run_folder import read_saved

COST_FILE = "cost.json"
"""In a detector's folder."""


def compare_detectors(request: Request, prog: str) -> int:
    """Train and compare. Exit status: 0 all done, 1 a detector failed, 128 + signal when stopped by one."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(f"{prog} starts its own processes, one a core or GPU: start it by itself, not in several")
    plain = request.config.finetune
    check_device(plain.device, precision_of(plain.precision, os.environ))
    try:
        with stopping_on_signals(), only_writer_in(plain.output):
            return _compare(request, prog)
    except Stopped as stopped:
        print(f"stopped by {stopped}: runs that had begun saved their state; go on with the same command", flush=True)
        return 128 + stopped.number


def _compare(request: Request, prog: str) -> int:
    config = request.config
    cells, failures = make_cells(request, prog)
    refuse_other_settings(cells)
    for line in describe_first_steps(cells, request, prog):
        print(line, flush=True)
    for failure in failures:
        report(failure)
    cells, tests = prepare_cells(cells, failures)
    if not cells:
        raise none_left("no detector can be trained", failures)
    ablation_config = config.ablation()
    train(cells, ablation_config, failures)
    ablation = evaluate(cells, tests, ablation_config, failures)
    results = make_results(config, ablation, measure_costs(cells, config.cost_steps))
    write(results)
    print(terminal(results), flush=True)
    return 1 if failures else 0


def measure_costs(cells: Sequence[Cell], steps: int) -> dict[str, Cost]:
    """Cell -> cost; those that were measured before stay. None of them where `steps` is 0."""
    found = {}
    for cell in tqdm(cells if steps else (), desc="cost", unit="detector", disable=None):
        file = cell.config.output / COST_FILE
        known = _known_cost(cell)
        if known is None:
            known = measure_cost(cell.config, steps)
            write_json(file, asdict(known))
        found[cell.name] = known
    return found


def _known_cost(cell: Cell) -> Cost | None:
    file = cell.config.output / COST_FILE
    if not file.is_file():
        return None
    content = read_saved(file, "delete it")
    try:
        check(content, of_type(Cost))
    except WrongShape as error:
        raise UserError(f"{file} is damaged ({error}): delete it") from None
    return Cost(**content)


def write(results: Results) -> None:
    """The tables in four forms, and the configuration, in the output folder."""
    output, forms = results.config.finetune.output, (markdown(results), latex(results), as_csv(results))
    write_forms(output, "comparison", results.config, results.as_json(), forms)
