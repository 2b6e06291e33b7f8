from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from downstream.detector.bags import Bags
from downstream.detector.feature_magnitude import FeatureMagnitudeConfig, feature_magnitude
from pretrain.errors import UserError
from tests.downstream.detector import loss_checks
from tests.downstream.detector.loss_checks import random_bags

# alpha and margin of the order of the features, so that both terms weigh in what is checked
CONFIGS = [FeatureMagnitudeConfig(k=k, margin=5.0, alpha=0.1) for k in (3, 1, None)]
LOSS = partial(feature_magnitude, config=CONFIGS[0])


def reference(bags: Bags, config: FeatureMagnitudeConfig) -> tuple[float, float]:
    """The two summands, in loops over bags and pairs."""
    magnitudes: dict[bool, list[float]] = {True: [], False: []}
    entropy = 0.0
    for row, label in enumerate(bags.labels.tolist()):
        instances = [
            (math.sqrt(sum(x * x for x in bags.features[row, i].tolist())), bags.log_scores[row, i].exp().item())
            for i in range(bags.mask.shape[1])
            if bags.mask[row, i]
        ]
        instances.sort(reverse=True)
        top = instances[: config.k if config.k is not None else len(instances) // 16 + 1]
        magnitudes[label == 1].append(sum(length for length, _ in top) / len(top))
        score = sum(score for _, score in top) / len(top)
        entropy -= math.log(score) if label == 1 else math.log(1 - score)
    pairs = [(abs(config.margin - a) + n) ** 2 for a in magnitudes[True] for n in magnitudes[False]]
    return config.alpha * sum(pairs) / max(1, len(pairs)), entropy / len(bags.labels)


@pytest.mark.parametrize("config", [*CONFIGS, FeatureMagnitudeConfig()])
def test_equals_the_reference(config: FeatureMagnitudeConfig) -> None:
    for seed in range(5):
        bags = random_bags(seed)
        loss, parts = feature_magnitude(bags, config)
        magnitude, entropy = reference(bags, config)
        assert parts["magnitude"].item() == pytest.approx(magnitude, rel=1e-10)
        assert parts["bce"].item() == pytest.approx(entropy, rel=1e-10)
        assert loss.item() == pytest.approx(magnitude + entropy, rel=1e-10)


def test_magnitude_chooses_not_the_score() -> None:
    bags = random_bags(0, (1,), (2,))._replace(
        log_scores=torch.tensor([[0.9, 0.2]], dtype=torch.float64).log(),
        features=torch.tensor([[[1.0, 0.0], [3.0, 4.0]]], dtype=torch.float64),
    )
    assert feature_magnitude(bags, FeatureMagnitudeConfig(k=1))[0].item() == pytest.approx(-math.log(0.2))


def test_a_step_on_features_parts_the_magnitudes() -> None:
    bags = random_bags(3)
    _, _, by_features = loss_checks.gradients(LOSS, bags)
    before, after = (
        [b.features.norm(dim=-1)[b.mask & (b.labels == label).unsqueeze(1)].sum() for label in (1, 0)]
        for b in (bags, bags._replace(features=bags.features - 0.1 * by_features))
    )
    assert after[0] > before[0]
    assert after[1] < before[1]


@pytest.mark.parametrize("labels", [(1, 1), (0, 0)])
def test_no_pair_no_magnitude_term(labels: tuple[int, int]) -> None:
    bags = random_bags(0, labels, (3, 5))
    assert feature_magnitude(bags, CONFIGS[0])[1]["magnitude"] == 0
    assert not loss_checks.gradients(LOSS, bags)[2].any()


def test_configuration_errors() -> None:
    with pytest.raises(UserError, match=r"feature_magnitude.k is 0; it must be 1 or more, or None"):
        FeatureMagnitudeConfig(k=0)
    with pytest.raises(UserError, match=r"feature_magnitude.margin is 0.0; it must be a finite number above 0"):
        FeatureMagnitudeConfig(margin=0.0)
    with pytest.raises(UserError, match=r"feature_magnitude.alpha is -1; it must be a finite number of 0 or more"):
        FeatureMagnitudeConfig(alpha=-1)
