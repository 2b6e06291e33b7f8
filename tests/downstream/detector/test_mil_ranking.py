from __future__ import annotations

from functools import partial

import pytest
import torch

from downstream.detector.bags import Bags
from downstream.detector.mil_ranking import MilRankingConfig, mil_ranking
from pretrain.errors import UserError
from tests.downstream.detector import loss_checks
from tests.downstream.detector.loss_checks import random_bags

LOSS = partial(mil_ranking, config=MilRankingConfig())


def reference(bags: Bags, k: int | None, margin: float, divisor: int = 16) -> float:
    """Loops over bags and pairs."""
    means: dict[bool, list[float]] = {True: [], False: []}
    for label, mask, log_scores in zip(bags.labels, bags.mask, bags.log_scores, strict=True):
        scores = sorted((s.exp().item() for s, real in zip(log_scores, mask, strict=True) if real), reverse=True)
        top = scores[: k if k is not None else len(scores) // divisor + 1]
        means[label.item() == 1].append(sum(top) / len(top))
    hinges = [max(0.0, margin - a + n) for a in means[True] for n in means[False]]
    return sum(hinges) / len(hinges) if hinges else 0.0


@pytest.mark.parametrize("k", [1, 3, None])
@pytest.mark.parametrize("margin", [0.3, 1.0])
def test_equals_the_reference(k: int | None, margin: float) -> None:
    for seed in range(5):
        bags = random_bags(seed)
        loss, parts = mil_ranking(bags, MilRankingConfig(k=k, margin=margin))
        assert loss.item() == pytest.approx(reference(bags, k, margin), rel=1e-12)
        assert parts["ranking"] == loss


@pytest.mark.parametrize("divisor", [1, 4, 100])
def test_the_share_of_instances_that_stands_for_a_bag(divisor: int) -> None:
    bags = random_bags(0)
    loss, _ = mil_ranking(bags, MilRankingConfig(k=None, divisor=divisor))
    assert loss.item() == pytest.approx(reference(bags, None, 1.0, divisor), rel=1e-12)


def test_by_hand() -> None:
    """Abnormal maximum 0.75; normal maxima 0.5 and 0.25: hinges 0.75 and 0.5."""
    scores = torch.tensor([[0.75, 0.125], [0.5, 0.5], [0.125, 0.25]])
    bags = random_bags(0, (1, 0, 0), (2, 2, 2))._replace(log_scores=scores.log())
    assert mil_ranking(bags, MilRankingConfig())[0].item() == pytest.approx(0.625)


@pytest.mark.parametrize("labels", [(1, 1), (0, 0)])
def test_no_pair_is_0(labels: tuple[int, int]) -> None:
    loss, by_scores, _ = loss_checks.gradients(LOSS, random_bags(0, labels, (3, 5)))
    assert loss == 0
    assert not by_scores.any()


def test_configuration_errors() -> None:
    with pytest.raises(UserError, match=r"mil_ranking.k is 0; it must be 1 or more, or None"):
        MilRankingConfig(k=0)
    with pytest.raises(UserError, match=r"mil_ranking.divisor is -1; it must be 1 or more"):
        MilRankingConfig(divisor=-1)
    for margin in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match=r"mil_ranking.margin is .*; it must be a finite number above 0"):
            MilRankingConfig(margin=margin)
