from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from downstream.detector.bags import Bags
from downstream.detector.frame_bce import frame_bce
from downstream.detector.loss_config import BaseName
from downstream.detector.terms import BASES
from tests.downstream.detector.loss_checks import gradients, padded, random_bags, reordered


def labelled_bags(seed: int, dtype: torch.dtype = torch.float64) -> Bags:
    """Random bags in which a third of the instances of abnormal ones is anomalous, some of those in part."""
    bags = random_bags(seed, dtype=dtype)
    drawn = torch.rand(bags.mask.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)
    shares = torch.where(drawn > 0.8, 1, torch.where(drawn > 0.6, drawn, 0)) * bags.labels.unsqueeze(1)
    return bags._replace(instance_labels=shares)


def frame_by_frame(bags: Bags, frames: int) -> float:
    """A loop over the frames of all instances; each instance has `frames` of them."""
    entropies: dict[bool, list[float]] = {True: [], False: []}
    assert bags.instance_labels is not None
    for share, log_score, real in zip(
        bags.instance_labels.flatten().tolist(), bags.log_scores.flatten().tolist(), bags.mask.flatten(), strict=True
    ):
        for frame in range(frames if real else 0):
            anomalous = frame < round(share * frames)
            entropies[anomalous].append(-log_score if anomalous else -math.log(-math.expm1(log_score)))
    return sum(sum(values) / len(values) for values in entropies.values() if values) / 2


def test_it_is_the_cross_entropy_of_frames() -> None:
    for seed in range(5):
        bags = labelled_bags(seed)
        assert bags.instance_labels is not None
        bags = bags._replace(instance_labels=(bags.instance_labels * 16).round() / 16)
        loss, parts = frame_bce(bags)
        assert loss.item() == pytest.approx(frame_by_frame(bags, 16), rel=1e-9)
        assert sum(parts.values()).item() == pytest.approx(loss.item(), rel=1e-12)


def test_classes_count_alike_by_hand() -> None:
    """One anomalous instance of score 0.5, three normal ones of 0.25."""
    bags = random_bags(0, (1,), (4,))._replace(
        log_scores=torch.tensor([[0.5, 0.25, 0.25, 0.25]], dtype=torch.float64).log(),
        instance_labels=torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64),
    )
    assert frame_bce(bags)[0].item() == pytest.approx((-math.log(0.5) - math.log(0.75)) / 2)


def test_padding_and_the_order_of_bags_change_nothing() -> None:
    bags = labelled_bags(1)
    for other in (padded(bags, 9), reordered(bags, [3, 0, 4, 2, 1])):
        torch.testing.assert_close(frame_bce(other)[0], frame_bce(bags)[0], rtol=1e-12, atol=0)


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("factor", [0.0, 1.0, 1e3])
def test_one_class_alone_and_scores_that_are_sure_stay_finite(share: float, factor: float) -> None:
    bags = random_bags(2, dtype=torch.float32)
    bags = bags._replace(log_scores=bags.log_scores * factor, instance_labels=torch.full_like(bags.log_scores, share))
    value, by_scores, _ = gradients(frame_bce, bags)
    assert value.isfinite()
    assert by_scores.isfinite().all()
    assert not by_scores[~bags.mask].any()


def test_no_weakly_supervised_run_can_choose_it() -> None:
    assert "frame_bce" not in BASES
    assert set(get_args(BaseName)) == set(BASES)
