"""What must hold of every loss of the tables: a new base or term is tested here as soon as it has its line.

Its own file holds the slow reference and what is special about it.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple, get_args, get_type_hints

import pytest
import torch

from downstream.detector.cross_batch_clustering import CrossBatchClusteringConfig
from downstream.detector.feature_magnitude import FeatureMagnitudeConfig
from downstream.detector.loss_config import BaseName, ObjectiveConfig
from downstream.detector.mil_ranking import MilRankingConfig
from downstream.detector.model import DetectorConfig
from downstream.detector.objective import DetectorTraining, build_detector
from downstream.detector.terms import BASES, TERMS
from downstream.detector.topk_bce import TopKBCEConfig
from pretrain.errors import UserError
from tests.downstream.detector import loss_checks
from tests.downstream.detector.loss_checks import DIM, WHOLE, Grid, Loss, make_loss, objective_of, random_bags
from tests.paths import ROOT

GRID = (2, 3)
LOSSES: dict[str, Any] = {**BASES, **TERMS}
PLACED = {"smoothness", "spatial_smoothness", "entropy"}
"""Losses that know of time and place; to the others a bag is a set of instances."""
HELD_STILL = {"entropy", "cross_batch_clustering"}
"""Losses with weights made of scores that carry no gradient: their own tests hold them still for finite differences."""
SEPARATING = {"mil_ranking", "topk_bce"}
"""Losses of scores alone that know both classes."""
OTHER_CONFIGS: dict[str, list[Any]] = {
    "mil_ranking": [MilRankingConfig(k=k) for k in (3, None)],
    "topk_bce": [TopKBCEConfig(k=k) for k in (1, 4)],
    # alpha and margin of the order of the features, so that both summands weigh in what is checked
    "feature_magnitude": [FeatureMagnitudeConfig(k=k, margin=5.0, alpha=0.1) for k in (3, 1, None)],
    "cross_batch_clustering": [CrossBatchClusteringConfig(memory=memory) for memory in (0, 2)],
}
"""Checked as well as the default."""


class Case(NamedTuple):
    """A loss in one configuration, switched on, on whole snippets or on cells."""

    name: str
    config: Any
    grid: Grid

    def loss(self) -> Loss:
        return make_loss(self.name, self.config, self.grid)


def switched_on(name: str, config: Any) -> Any:
    return config if name in BASES else dataclasses.replace(config, weight=1.0)


def grids_of(name: str) -> list[Grid]:
    needs_cells = name in TERMS and TERMS[name].needs_cells
    return [GRID] if needs_cells else [WHOLE, GRID] if name in PLACED else [WHOLE]


CASES = [
    Case(name, switched_on(name, config), grid)
    for name, loss in LOSSES.items()
    for config in [loss.config(), *OTHER_CONFIGS.get(name, [])]
    for grid in grids_of(name)
]


def cases(*, but: set[str] = frozenset(), only: set[str] | None = None) -> pytest.MarkDecorator:  # type: ignore[assignment]
    chosen = [case for case in CASES if case.name not in but and (only is None or case.name in only)]
    ids = [f"{case.name}-{number}" for number, case in enumerate(chosen)]
    return pytest.mark.parametrize("case", chosen, ids=ids)


@cases()
def test_padding_changes_nothing(case: Case) -> None:
    loss_checks.check_padding_changes_nothing(case.loss(), case.grid)


@cases()
def test_the_order_of_bags_changes_nothing(case: Case) -> None:
    loss_checks.check_bag_order_changes_nothing(case.loss(), case.grid)


@cases(but=PLACED)
def test_the_order_of_instances_changes_nothing(case: Case) -> None:
    loss_checks.check_instance_order_changes_nothing(case.loss())


@cases()
def test_every_batch_is_finite_with_its_gradients(case: Case) -> None:
    loss_checks.check_every_batch_is_finite(case.loss(), grid=case.grid)


@cases(but=HELD_STILL)
def test_the_gradient_is_that_of_finite_differences(case: Case) -> None:
    loss_checks.check_gradient(case.loss(), grid=case.grid)


@cases()
def test_a_step_against_the_gradient_lowers_it(case: Case) -> None:
    loss_checks.check_a_step_lowers_it(case.loss(), case.grid)


@cases(only=SEPARATING)
def test_a_step_separates_scores(case: Case) -> None:
    loss_checks.check_a_step_separates_scores(case.loss())


@pytest.mark.gpu
@cases()
def test_cuda_equals_cpu(case: Case) -> None:
    loss_checks.check_cuda_equals_cpu(case.loss(), case.grid)


@cases(but=PLACED)
def test_losses_of_instances_see_cells_as_instances(case: Case) -> None:
    bags, loss = random_bags(3, teacher=True, grid=GRID), case.loss()
    (of_cells, parts), (flat, flat_parts) = loss(bags), loss(bags._replace(grid=WHOLE))
    assert of_cells > 0
    assert torch.equal(of_cells, flat)
    assert all(torch.equal(parts[key], value) for key, value in flat_parts.items())


def a_training(objective: ObjectiveConfig) -> DetectorTraining:
    torch.manual_seed(0)
    config = DetectorConfig(width=8, hidden=4, dropout=0)
    return DetectorTraining(build_detector(config, objective, DIM, GRID), objective)


def step_of(training: DetectorTraining, step: int) -> tuple[float, dict[str, float]]:
    """A step of plain descent on bags of cells; steps 1 and 3 lack a class."""
    features = torch.randn(4, 30, DIM, generator=torch.Generator().manual_seed(step))
    labels = torch.tensor([[1.0, 0, 1, 0], [0.0] * 4, [0.0, 0, 1, 1], [1.0] * 4][step % 4])
    loss, parts = training(features, torch.arange(30) < torch.tensor([[30], [6], [12], [24]]), labels, step)
    training.zero_grad()
    loss.backward()
    with torch.no_grad():
        for parameter in training.parameters():
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad
    training.update_teacher(step)
    return loss.item(), {name: value.item() for name, value in parts.items()}


@pytest.mark.parametrize("name", TERMS)
def test_weight_0_is_off(name: str) -> None:
    off, on = (a_training(objective_of(name, TERMS[name].config(weight=weight))) for weight in (0.0, 0.5))
    first = TERMS[name].first_step(getattr(on.config, name))
    (loss_off, parts_off), (loss_on, parts_on) = step_of(off, 4 * first), step_of(on, 4 * first)
    assert not any(part.split("/")[0] == name for part in parts_off)
    assert off.state_dict().keys() == a_training(ObjectiveConfig()).state_dict().keys()
    assert loss_off == parts_off["base"]
    assert loss_on == pytest.approx(parts_on["base"] + 0.5 * parts_on[name], rel=1e-6)
    if first:
        assert name not in step_of(on, first - 1)[1]


@cases()
def test_resumed_from_its_state_it_goes_on_as_if_uninterrupted(case: Case) -> None:
    config = case.config
    if case.name in TERMS and TERMS[case.name].warms_up:
        config = dataclasses.replace(config, warmup_steps=1)
    whole, resumed = (a_training(objective_of(case.name, config)) for _ in range(2))
    for step in range(3):
        step_of(whole, step)
    resumed.load_state_dict(whole.state_dict())
    assert [step_of(resumed, step) for step in range(3, 7)] == [step_of(whole, step) for step in range(3, 7)]
    for key, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], value), key


@pytest.mark.parametrize("name", [name for name, term in TERMS.items() if term.needs_cells])
def test_terms_of_cells_are_refused_without_cells(name: str) -> None:
    objective = objective_of(name, TERMS[name].config(weight=0.1))
    with pytest.raises(UserError, match=rf"objective\.{name}\.weight is 0\.1, but .* no cells: .* or set it to 0"):
        build_detector(DetectorConfig(), objective, DIM)
    assert build_detector(DetectorConfig(), objective, DIM, GRID).grid == GRID


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_a_bad_weight_is_named(name: str, weight: float) -> None:
    with pytest.raises(UserError, match=rf"{name}\.weight is {weight}; it must be a finite number of 0 or more"):
        TERMS[name].config(weight=weight)


def test_tables_and_fields_are_equal() -> None:
    fields = get_type_hints(ObjectiveConfig)
    assert fields.pop("base") == BaseName
    assert fields == {name: loss.config for name, loss in LOSSES.items()}
    assert get_args(BaseName) == tuple(BASES)


@pytest.mark.parametrize("name", TERMS)
def test_terms_are_off_by_default_and_on_in_ablations(name: str) -> None:
    assert TERMS[name].config().weight == 0
    assert 0 < TERMS[name].ablation_weight < math.inf


@pytest.mark.parametrize("name", LOSSES)
def test_the_documentation_has_a_line_with_every_setting(name: str) -> None:
    loss = LOSSES[name]
    start = f"| `{name}` |" if name in BASES else f"| `objective.{name}.weight` | {loss.ablation_weight:g} |"
    lines = (ROOT / "docs/detectors.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith(f"{start} {loss.about} |")]
    assert len(rows) == 1, f"docs/detectors.md wants one line that begins: {start} {loss.about} |"
    for setting in dataclasses.fields(loss.config):
        assert setting.name == "weight" or f"`.{setting.name}`" in rows[0], f"{rows[0]} says nothing of {setting.name}"
    assert f"`{name}`" in (ROOT / "docs/methods.md").read_text(encoding="utf-8"), "which part is whose is not told"
