"""BN-WVAD's base against loops, and what it chooses."""

from __future__ import annotations

import pytest
import torch

from downstream.detector.bags import Bags
from downstream.detector.batch_norm_distance import (
    BatchNormDistance,
    mean_hinge,
    select_abnormal,
    select_normal,
)
from downstream.detector.heads import BatchNormHead
from downstream.detector.loss_config import BatchNormDistanceConfig
from pretrain.errors import UserError
from tests.downstream.detector.loss_checks import DIM, random_bags

CONFIG = BatchNormDistanceConfig()


def a_head() -> BatchNormHead:
    torch.manual_seed(0)
    head = BatchNormHead(DIM, 4).double()
    bags = random_bags(1)
    head(bags.features, bags.mask)
    return head.eval()


def scored(head: BatchNormHead, seed: int) -> Bags:
    bags = random_bags(seed)
    return bags._replace(before_norms=head(bags.features, bags.mask).before_norms)


def reference(head: BatchNormHead, bags: Bags) -> float:
    """In lists: which snippets are chosen, and every pair of them."""
    assert bags.before_norms is not None
    labels, counts = bags.labels.tolist(), bags.mask.sum(dim=1).tolist()
    normal, abnormal = ([row for row, label in enumerate(labels) if label == wanted] for wanted in (0, 1))
    loss = sum(bags.scores[row].square().sum().sqrt().item() for row in normal) / len(normal)
    for weight, values, norm in zip((5, 20), head.split(bags.before_norms), head.norms, strict=True):
        far = {
            (row, t): ((values[row, t] - norm.running_mean) ** 2 / (norm.running_variance + 1e-5)).sum().sqrt().item()
            for row in range(len(labels))
            for t in range(counts[row])
        }
        chosen = set()
        for row in abnormal:
            own = sorted(range(counts[row]), key=lambda t, row=row: -far[row, t])  # type: ignore[misc]
            chosen |= {(row, t) for t in own[: max(1, int(counts[row] * CONFIG.bag_ratio))]}
        of_all = sorted((key for key in far if key[0] in abnormal), key=lambda key: -far[key])
        chosen |= set(of_all[: int(len(of_all) * CONFIG.batch_ratio)])
        near = []
        for row in normal:
            own = sorted((far[row, t] for t in range(counts[row])), reverse=True)
            near += own[: len(chosen) // len(normal) + 1]
        hinges = [max(0.0, CONFIG.margin + n - far[key]) for n in near for key in chosen]
        loss += weight * sum(hinges) / len(hinges)
    return loss


def test_equals_the_reference() -> None:
    head = a_head()
    loss = BatchNormDistance(CONFIG, head)
    for seed in range(2, 6):
        bags = scored(head, seed)
        assert loss(bags)[0].item() == pytest.approx(reference(head, bags), rel=1e-9)


def test_the_batch_gives_more_to_the_bag_in_which_more_happens() -> None:
    bags = random_bags(0, (1, 1, 0), (10, 10, 10))
    distances = torch.ones(3, 10, dtype=torch.float64)
    distances[1] = torch.arange(10).double() + 2
    chosen = select_abnormal(distances, bags, CONFIG)
    # two of each bag, and the eight farthest of both, which all lie in the second
    assert chosen.sum(dim=1).tolist() == [2, 8, 0]
    assert chosen[1].tolist() == [False] * 2 + [True] * 8
    assert select_normal(distances, bags, int(chosen.sum())).sum(dim=1).tolist() == [0, 0, 10]


def test_the_sum_over_pairs_is_that_of_a_list_of_pairs_with_its_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    near, far = (torch.randn(size, generator=generator, dtype=torch.float64).requires_grad_() for size in (7, 5))
    listed = (near.unsqueeze(1) - far.unsqueeze(0)).clamp(min=0).mean()
    found = mean_hinge(near, far)
    assert found.item() == pytest.approx(listed.item(), rel=1e-12)
    for mine, theirs in zip(
        torch.autograd.grad(found, (near, far)), torch.autograd.grad(listed, (near, far)), strict=True
    ):
        torch.testing.assert_close(mine, theirs)
    assert mean_hinge(near[:0], far).item() == 0


def test_bad_settings_are_named() -> None:
    with pytest.raises(UserError, match=r"batch_norm_distance\.bag_ratio is 1\.5; it must lie in \[0, 1\]"):
        BatchNormDistanceConfig(bag_ratio=1.5)
    with pytest.raises(UserError, match=r"batch_norm_distance\.margin is -1; it must be a finite number of 0 or more"):
        BatchNormDistanceConfig(margin=-1)
