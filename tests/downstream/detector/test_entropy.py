from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.detector.bags import Bags
from downstream.detector.entropy import EntropyConfig, entropy
from tests.downstream.detector import loss_checks
from tests.downstream.detector.loss_checks import random_bags

LOSS = partial(entropy, config=EntropyConfig(weight=0.1))
GRID = (2, 3)


def reference(bags: Bags) -> float:
    """One snippet after the other, in plain numbers."""
    per_bag, cells = [], bags.grid[0] * bags.grid[1]
    for row, label in enumerate(bags.labels.tolist()):
        scores = [math.exp(value) for value, real in zip(bags.log_scores[row], bags.mask[row], strict=True) if real]
        total, weights = 0.0, 0.0
        for start in range(0, len(scores), cells):
            snippet = scores[start : start + cells]
            shares = [score / sum(snippet) for score in snippet]
            spread = -sum(share * math.log(share) for share in shares) / math.log(cells)
            total, weights = total + max(snippet) * spread, weights + max(snippet)
        if label == 1:
            per_bag.append(total / weights)
    return sum(per_bag) / len(per_bag) if per_bag else 0.0


def one_bag(scores: list[float], grid: tuple[int, int] = (2, 2), label: int = 1) -> Bags:
    mask = torch.ones(1, len(scores), dtype=torch.bool)
    log_scores = torch.tensor([scores], dtype=torch.float64).log().clamp(min=-1e30)
    return Bags(torch.tensor([float(label)]), mask, log_scores, torch.zeros(1, len(scores), 1), grid=grid)


@pytest.mark.parametrize("grid", [(2, 3), (1, 2), (3, 1)])
def test_equals_the_reference(grid: tuple[int, int]) -> None:
    for seed in range(5):
        bags = random_bags(seed, grid=grid)
        loss, parts = LOSS(bags)
        assert loss.item() == pytest.approx(reference(bags), rel=1e-12)
        assert parts["entropy"] == loss


def test_one_cell_is_0_and_all_alike_is_1_whatever_the_height() -> None:
    for height in (1e-9, 0.2, 1.0):
        assert LOSS(one_bag([0, 0, height, 0]))[0].item() == pytest.approx(0, abs=1e-9)
        assert LOSS(one_bag([height] * 4))[0].item() == pytest.approx(1, rel=1e-6)
        assert LOSS(one_bag([height, height, 0, 0]))[0].item() == pytest.approx(0.5, rel=1e-6)


def test_snippets_count_by_their_highest_score() -> None:
    """A sharp snippet of 0.9 and an even one of 0.1: a tenth."""
    assert LOSS(one_bag([0.9, 0, 0, 0] + [0.1] * 4))[0].item() == pytest.approx(0.1, rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=4, max_size=24).map(lambda scores: scores[: len(scores) // 4 * 4]))
def test_lies_between_0_and_1(scores: list[float]) -> None:
    assert -1e-9 <= LOSS(one_bag(scores))[0].item() <= 1 + 1e-9


def test_the_gradient_sharpens_and_does_not_lower_everything() -> None:
    """Downhill, the highest cell rises and the others fall."""
    _, by_scores, _ = loss_checks.gradients(LOSS, one_bag([0.1, 0.5, 0.2, 0.1]))
    assert (by_scores[0] < 0).tolist() == [False, True, False, False]


@pytest.mark.parametrize("log_score", [0.0, -1e-30, -40.0, -1e4, -1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_is_finite_where_all_scores_are_0_or_1(log_score: float, dtype: torch.dtype) -> None:
    bags = random_bags(0, dtype=dtype, grid=GRID)
    value, by_scores, _ = loss_checks.gradients(
        LOSS, bags._replace(log_scores=torch.full_like(bags.log_scores, log_score))
    )
    assert torch.isfinite(value)
    assert torch.isfinite(by_scores).all()


@pytest.mark.parametrize(("labels", "grid"), [((0, 0), GRID), ((1, 1), (1, 1))])
def test_without_an_abnormal_bag_or_cells_it_is_0(labels: tuple[int, int], grid: tuple[int, int]) -> None:
    loss, by_scores, _ = loss_checks.gradients(LOSS, random_bags(0, labels, (3, 5), grid=grid))
    assert loss == 0
    assert not by_scores.any()


def test_gradient_with_the_weights_of_snippets_held_still() -> None:
    """The weights carry no gradient by intent, so finite differences are taken in a bag of one snippet."""
    bags = random_bags(5, (1,), (1,), dim=1, grid=GRID)
    inputs = bags.log_scores.requires_grad_()
    assert torch.autograd.gradcheck(lambda values: LOSS(bags._replace(log_scores=values))[0], inputs)
