"""MGFN's base against loops."""

from __future__ import annotations

import math

import pytest
import torch

from downstream.detector.bags import Bags
from downstream.detector.loss_config import MagnitudeContrastConfig
from downstream.detector.magnitude_contrast import longest, magnitude_contrast
from pretrain.errors import UserError
from tests.downstream.detector.loss_checks import random_bags

CONFIG = MagnitudeContrastConfig(margin=3.0, contrast_weight=0.2, between_weight=0.3)


def reference(bags: Bags, config: MagnitudeContrastConfig) -> float:
    """Cross-entropy and the three means over pairs, in lists."""
    vectors: dict[float, list[list[float]]] = {0.0: [], 1.0: []}
    entropy = 0.0
    for row, label in enumerate(bags.labels.tolist()):
        there = [t for t in range(bags.mask.shape[1]) if bags.mask[row, t]]
        there.sort(key=lambda t, row=row: -bags.features[row, t].square().sum().item())  # type: ignore[misc]
        top = there[: config.k]
        score = sum(bags.log_scores[row, t].exp().item() for t in top) / len(top)
        entropy -= math.log(score if label else 1 - score) / len(bags.labels)
        norms = [bags.features[row, t].abs().sum().item() for t in top]
        vectors[label].append(norms + [norms[-1]] * (config.k - len(norms)))
    within = 0.0
    for own in vectors.values():
        pairs = [math.dist(a, b) ** 2 for i, a in enumerate(own) for j, b in enumerate(own) if i != j]
        within += sum(pairs) / max(1, len(pairs))
    between = [max(0.0, config.margin - math.dist(a, n)) ** 2 for a in vectors[1.0] for n in vectors[0.0]]
    mean = sum(between) / max(1, len(between))
    return entropy + config.contrast_weight * (within + config.between_weight * mean)


@pytest.mark.parametrize("config", [CONFIG, MagnitudeContrastConfig(), MagnitudeContrastConfig(k=1)])
def test_equals_the_reference(config: MagnitudeContrastConfig) -> None:
    for seed in range(4):
        bags = random_bags(seed)
        assert magnitude_contrast(bags, config)[0].item() == pytest.approx(reference(bags, config), rel=1e-9)


def test_a_bag_of_fewer_instances_repeats_its_last() -> None:
    bags = random_bags(0, (1, 0), (2, 1))._replace(
        features=torch.tensor([[[1.0, 1.0], [3.0, 4.0]], [[0.5, 0.0], [9.0, 9.0]]], dtype=torch.float64)
    )
    lengths = torch.linalg.vector_norm(bags.features, dim=-1)
    assert longest(bags, lengths, 3).tolist() == [[7.0, 2.0, 2.0], [0.5, 0.5, 0.5]]


def test_bad_settings_are_named() -> None:
    with pytest.raises(UserError, match=r"magnitude_contrast\.k is 0; it must be 1 or more"):
        MagnitudeContrastConfig(k=0)
    with pytest.raises(UserError, match=r"magnitude_contrast\.margin is inf; it must be a finite number"):
        MagnitudeContrastConfig(margin=math.inf)
