from __future__ import annotations

from functools import partial

import pytest
import torch

from downstream.detector.bags import Bags
from downstream.detector.spatial_smoothness import SpatialSmoothnessConfig, spatial_smoothness
from tests.downstream.detector import loss_checks
from tests.downstream.detector.loss_checks import random_bags

LOSS = partial(spatial_smoothness, config=SpatialSmoothnessConfig(weight=1e-3))
GRID = (2, 3)


def reference(bags: Bags) -> float:
    """Every pair of instances of a bag, asked whether they are neighbours."""
    rows, columns = bags.grid
    sums = []
    for row in range(len(bags.labels)):
        total, count = 0.0, int(bags.mask[row].sum())
        for i in range(count):
            for j in range(count):
                (t, y, x), (s, v, u) = ((n // (rows * columns), n // columns % rows, n % columns) for n in (i, j))
                if s == t and (v - y, u - x) in ((0, 1), (1, 0)):
                    total += (bags.log_scores[row, i].exp() - bags.log_scores[row, j].exp()).item() ** 2
        sums += [total] if bags.labels[row] == 1 else []
    return sum(sums) / len(sums) if sums else 0.0


@pytest.mark.parametrize("grid", [(2, 3), (1, 4), (3, 1), (1, 1)])
def test_equals_the_reference(grid: tuple[int, int]) -> None:
    for seed in range(3):
        bags = random_bags(seed, (1, 0, 1), (7, 2, 3), grid=grid)
        loss, parts = LOSS(bags)
        assert loss.item() == pytest.approx(reference(bags), rel=1e-12)
        assert parts["spatial_smoothness"] == loss


def test_the_edge_of_a_row_and_of_a_snippet_is_no_neighbour_of_the_next() -> None:
    """Rows of constant scores differ from each other only downwards; snippets that differ are still smooth."""
    scores = torch.tensor([[0.2, 0.2, 0.2, 0.9, 0.9, 0.9] * 2])
    mask = torch.ones_like(scores, dtype=torch.bool)
    bags = Bags(torch.ones(1), mask, scores.log(), torch.zeros(1, 12, 1), grid=GRID)
    assert LOSS(bags)[0].item() == pytest.approx(2 * 3 * 0.7**2, rel=1e-6)
    even = torch.tensor([0.2] * 6 + [0.9] * 6).log().unsqueeze(0)
    assert LOSS(bags._replace(log_scores=even))[0].item() == 0


@pytest.mark.parametrize(("labels", "grid"), [((0, 0), GRID), ((1, 1), (1, 1))])
def test_without_an_abnormal_bag_or_cells_it_is_0(labels: tuple[int, int], grid: tuple[int, int]) -> None:
    loss, by_scores, _ = loss_checks.gradients(LOSS, random_bags(0, labels, (3, 5), grid=grid))
    assert loss == 0
    assert not by_scores.any()
