from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from downstream.detector.bags import Bags
from downstream.detector.topk_bce import TopKBCEConfig, bag_cross_entropy, topk_bce
from pretrain.errors import UserError
from tests.downstream.detector import loss_checks
from tests.downstream.detector.loss_checks import random_bags

LOSSES = [partial(topk_bce, config=TopKBCEConfig(k=k)) for k in (None, 1, 4)]


def reference(bags: Bags, k: int | None, divisor: int = 16) -> float:
    """A loop over bags."""
    total = 0.0
    for label, mask, log_scores in zip(bags.labels, bags.mask, bags.log_scores, strict=True):
        scores = sorted((s.exp().item() for s, real in zip(log_scores, mask, strict=True) if real), reverse=True)
        top = scores[: k if k is not None else len(scores) // divisor + 1]
        mean = sum(top) / len(top)
        total -= math.log(mean) if label.item() == 1 else math.log(1 - mean)
    return total / len(bags.labels)


@pytest.mark.parametrize("k", [None, 1, 4])
def test_equals_the_reference(k: int | None) -> None:
    for seed in range(5):
        bags = random_bags(seed)
        loss, parts = topk_bce(bags, TopKBCEConfig(k=k))
        assert loss.item() == pytest.approx(reference(bags, k), rel=1e-10)
        assert sum(parts.values()).item() == pytest.approx(loss.item(), rel=1e-12)


@pytest.mark.parametrize("divisor", [1, 4, 100])
def test_the_share_of_instances_that_stands_for_a_bag(divisor: int) -> None:
    bags = random_bags(0)
    loss, _ = topk_bce(bags, TopKBCEConfig(divisor=divisor))
    assert loss.item() == pytest.approx(reference(bags, None, divisor), rel=1e-10)


def test_a_tiny_score_keeps_its_gradient() -> None:
    """exp(-200) is 0 in float32; the loss of an abnormal bag with such scores still is 200, and still pulls."""
    bags = random_bags(0, (1,), (2,), dtype=torch.float32)._replace(log_scores=torch.tensor([[-200.0, -300.0]]))
    loss, by_scores, _ = loss_checks.gradients(LOSSES[1], bags)
    assert loss.item() == pytest.approx(200.0)
    assert by_scores.tolist() == [[-1.0, 0.0]]


@pytest.mark.parametrize("raw", [12.0, 17.0, 40.0])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_score_of_almost_1_keeps_its_gradient(raw: float, loss: loss_checks.Loss) -> None:
    """From raw = 17 on a score is 1 in float32; a normal bag of such scores must still be pulled down."""
    raw_scores = torch.full((1, 4), raw, requires_grad=True)
    bags = random_bags(0, (0,), (4,), dtype=torch.float32)
    value, _ = loss(bags._replace(log_scores=torch.nn.functional.logsigmoid(raw_scores)))
    value.backward()
    assert value.item() == pytest.approx(raw, rel=1e-5)
    assert raw_scores.grad is not None
    assert raw_scores.grad.sum().item() == pytest.approx(1, rel=1e-4)


def test_bag_cross_entropy_by_hand() -> None:
    """Mean score 0.375 of the two chosen."""
    bags = random_bags(0, (1, 0), (3, 3), dtype=torch.float32)
    bags = bags._replace(log_scores=torch.tensor([[0.5, 0.25, 0.9]]).log().expand(2, 3))
    value = bag_cross_entropy(bags, torch.tensor([[True, True, False]]).expand(2, 3))
    assert value.tolist() == pytest.approx([-math.log(0.375), -math.log(0.625)])


@pytest.mark.parametrize(("labels", "absent"), [((1, 1), "normal_bce"), ((0, 0), "abnormal_bce")])
def test_the_part_of_an_absent_class_is_0(labels: tuple[int, int], absent: str) -> None:
    assert topk_bce(random_bags(0, labels, (3, 5)), TopKBCEConfig())[1][absent].item() == pytest.approx(0, abs=1e-12)


def test_configuration_errors() -> None:
    with pytest.raises(UserError, match=r"topk_bce.k is -2; it must be 1 or more, or None for count // divisor \+ 1"):
        TopKBCEConfig(k=-2)
    with pytest.raises(UserError, match=r"topk_bce.divisor is 0; it must be 1 or more"):
        TopKBCEConfig(divisor=0)
