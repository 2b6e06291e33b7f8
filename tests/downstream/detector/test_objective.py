"""The weighted sum of a base and terms, and the teacher that follows the detector."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from downstream.detector.bags import Bags
from downstream.detector.contrastive_clustering import ContrastiveClusteringConfig
from downstream.detector.entropy import entropy
from downstream.detector.hard_mining import HardMiningConfig
from downstream.detector.mil_ranking import MilRankingConfig
from downstream.detector.model import DetectorConfig
from downstream.detector.objective import DetectorTraining, build_detector
from downstream.detector.smoothness import SmoothnessConfig, smoothness
from downstream.detector.spatial_smoothness import spatial_smoothness
from downstream.detector.terms import TERMS, ObjectiveConfig
from tests.downstream.detector.loss_checks import all_terms

GRID, DIM = (2, 3), 5
CELLS = GRID[0] * GRID[1]


@pytest.fixture
def small_objective() -> ObjectiveConfig:
    return ObjectiveConfig(
        hard_mining=HardMiningConfig(weight=0.5, warmup_steps=5),
        contrastive_clustering=ContrastiveClusteringConfig(weight=0.25),
        smoothness=SmoothnessConfig(weight=0.125),
    )


def test_the_teacher_follows(small_objective: ObjectiveConfig) -> None:
    torch.manual_seed(0)
    training = DetectorTraining(build_detector(DetectorConfig(width=8, hidden=4), small_objective, 6), small_objective)
    teacher = training.teacher
    assert teacher is not None
    with torch.no_grad():
        training.detector.project.weight.add_(1)
    before = teacher.project.weight.clone()
    training.update_teacher(0)
    assert torch.allclose(teacher.project.weight, before + 0.9, atol=1e-6)  # momentum 1/10 at first
    training.update_teacher(10**6)
    assert torch.allclose(teacher.project.weight, before + 0.9 + 0.01 * 0.1, atol=1e-6)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_weights_add_up(small_objective: ObjectiveConfig) -> None:
    torch.manual_seed(0)
    config = DetectorConfig(width=8, hidden=4, dropout=0)
    training = DetectorTraining(build_detector(config, small_objective, 6), small_objective)
    labels = torch.tensor([1.0, 0.0, 1.0, 0.0])
    loss, parts = training(torch.randn(4, 7, 6), torch.ones(4, 7, dtype=torch.bool), labels, 10)
    expected = (
        parts["base"]
        + 0.5 * parts["hard_mining"]
        + 0.25 * parts["contrastive_clustering"]
        + 0.125 * parts["smoothness"]
    )
    assert loss.detach() == pytest.approx(float(expected), rel=1e-5)
    _, early = training(torch.randn(4, 7, 6), torch.ones(4, 7, dtype=torch.bool), labels, 0)
    assert "hard_mining" not in early  # warm-up


def test_all_terms_on_cells_add_up_and_every_weight_learns() -> None:
    torch.manual_seed(0)
    config: Any = all_terms(base="mil_ranking", mil_ranking=MilRankingConfig(k=3))
    shape = DetectorConfig(temporal="multi_scale", spatial="conv", width=12, hidden=8, dropout=0)
    training = DetectorTraining(build_detector(shape, config, DIM, GRID), config)
    assert training.teacher is not None
    assert training.teacher.grid == GRID
    features = torch.randn(4, 5 * CELLS, DIM, generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(5 * CELLS) < 4 * CELLS).expand(4, -1)
    labels = torch.tensor([1.0, 0.0, 1.0, 0.0])
    bags = Bags(labels, mask, training.detector(features, mask).log_scores.detach(), features, grid=GRID)
    loss, parts = training(features, mask, labels, 10)
    assert parts["smoothness"] == smoothness(bags, config.smoothness)[0]
    assert parts["spatial_smoothness"] == spatial_smoothness(bags, config.spatial_smoothness)[0]
    assert parts["entropy"] == entropy(bags, config.entropy)[0]
    expected = parts["base"] + sum(getattr(config, name).weight * parts[name] for name in TERMS)
    assert loss.item() == pytest.approx(float(expected), rel=1e-5)
    loss.backward()
    for key, parameter in training.detector.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.any(), key


def test_the_teacher_of_a_batch_norm_head_says_what_students_learn() -> None:
    config = ObjectiveConfig(hard_mining=HardMiningConfig(weight=0.5))
    detector = build_detector(DetectorConfig(width=32, head="batch_norm", hidden=8, dropout=0), config, 6)
    teacher = DetectorTraining(detector, config).teacher
    assert teacher is not None
    features = torch.randn(2, 9, 6, generator=torch.Generator().manual_seed(0))
    own, amended = (net.eval().per_snippet(features).scores for net in (teacher, detector))
    assert not torch.allclose(own, amended, atol=1e-3), "scores of videos are times the distances"
    detector.head.amends = False
    torch.testing.assert_close(own, detector.per_snippet(features).scores)
