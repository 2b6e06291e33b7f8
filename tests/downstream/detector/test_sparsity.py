from __future__ import annotations

from functools import partial

import pytest

from downstream.detector.bags import Bags
from downstream.detector.sparsity import SparsityConfig, sparsity
from tests.downstream.detector import loss_checks
from tests.downstream.detector.loss_checks import random_bags

LOSS = partial(sparsity, config=SparsityConfig(weight=8e-5))


def reference(bags: Bags) -> float:
    sums = []
    for row, label in enumerate(bags.labels.tolist()):
        if label == 1:
            sums.append(
                sum(bags.log_scores[row, i].exp().item() for i in range(bags.mask.shape[1]) if bags.mask[row, i])
            )
    return sum(sums) / len(sums) if sums else 0.0


def test_equals_the_reference() -> None:
    for seed in range(5):
        bags = random_bags(seed)
        loss, parts = LOSS(bags)
        assert loss.item() == pytest.approx(reference(bags), rel=1e-12)
        assert parts["sparsity"] == loss


def test_normal_bags_are_left_alone() -> None:
    bags = random_bags(0)
    _, by_scores, _ = loss_checks.gradients(LOSS, bags)
    assert not by_scores[~bags.abnormal].any()
    assert (by_scores[bags.abnormal][bags.mask[bags.abnormal]] > 0).all()
    assert LOSS(random_bags(0, (0, 0), (3, 5)))[0] == 0
