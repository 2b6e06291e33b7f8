from __future__ import annotations

import itertools
from functools import partial

import pytest
import torch

from downstream.detector.bags import Bags
from downstream.detector.smoothness import SmoothnessConfig, smoothness
from tests.downstream.detector import loss_checks
from tests.downstream.detector.loss_checks import random_bags

LOSS = partial(smoothness, config=SmoothnessConfig(weight=8e-5))


def reference(bags: Bags) -> float:
    """Each cell's track over time by itself."""
    sums = []
    for row, label in enumerate(bags.labels.tolist()):
        scores = [bags.log_scores[row, i].exp().item() for i in range(bags.mask.shape[1]) if bags.mask[row, i]]
        if label == 1:
            tracks = [scores[cell :: bags.cells] for cell in range(bags.cells)]
            sums.append(sum((a - b) ** 2 for track in tracks for a, b in itertools.pairwise(track)))
    return sum(sums) / len(sums) if sums else 0.0


@pytest.mark.parametrize("grid", [(1, 1), (2, 3)])
def test_equals_the_reference(grid: tuple[int, int]) -> None:
    for seed in range(5):
        bags = random_bags(seed, grid=grid)
        loss, parts = LOSS(bags)
        assert loss.item() == pytest.approx(reference(bags), rel=1e-12)
        assert parts["smoothness"] == loss


def test_videos_are_not_neighbours() -> None:
    """Two abnormal videos of constant, different scores are perfectly smooth."""
    bags = random_bags(0, (1, 1), (4, 2))
    constant = bags._replace(log_scores=torch.tensor([[-0.1], [-3.0]]).expand(2, 4))
    assert LOSS(constant)[0] == 0


@pytest.mark.parametrize(("labels", "lengths"), [((0, 0), (3, 5)), ((1, 1), (1, 1))])
def test_nothing_to_smooth_is_0(labels: tuple[int, int], lengths: tuple[int, int]) -> None:
    loss, by_scores, _ = loss_checks.gradients(LOSS, random_bags(0, labels, lengths))
    assert loss == 0
    assert not by_scores.any()


def test_a_gap_inside_a_bag_is_no_neighbour() -> None:
    bags = random_bags(0, (1,), (3,))._replace(
        mask=torch.tensor([[True, False, True]]), log_scores=torch.tensor([[-0.1, -1.0, -3.0]])
    )
    assert LOSS(bags)[0] == 0


def test_cells_of_one_snippet_are_no_neighbours() -> None:
    """Of six cells with other scores each, which stay what they are."""
    bags = random_bags(0, (1,), (4,), grid=(2, 3))
    assert LOSS(bags._replace(log_scores=torch.linspace(-3, -0.1, 6).repeat(1, 4)))[0] == 0
    assert LOSS(bags._replace(log_scores=torch.linspace(-3, -0.1, 6).repeat(1, 4), grid=(1, 1)))[0] > 0
