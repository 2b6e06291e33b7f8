"""Dual memory: reading and the loss against loops, what noise does, and whose the memories are."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from downstream.detector.bags import Bags
from downstream.detector.dual_memory import MEMORIES, DualMemory, DualMemoryConfig, DualMemoryLoss, Memory
from downstream.detector.model import Detector, DetectorConfig
from downstream.detector.objective import DetectorTraining, build_detector
from downstream.detector.storage import load_detector, save_detector
from downstream.detector.terms import ObjectiveConfig
from downstream.features.feature_spec import FeatureSpec
from pretrain.errors import UserError
from tests.downstream.detector.loss_checks import DIM, random_bags

COUNT = 20
CONFIG = DualMemoryConfig(
    weight=1, memory_weight=0.7, triplet_weight=0.5, divergence_weight=0.3, magnitude_weight=0.2, magnitude_margin=2
)


def some_memories(noise: bool = False) -> DualMemory:
    torch.manual_seed(0)
    return DualMemory(COUNT, DIM, noise).double()


def read_slowly(memory: Memory, x: Tensor) -> tuple[Tensor, float]:
    """What a snippet reads, and how surely it is found."""
    attention = [1 / (1 + math.exp(-float((x @ vector).detach()) / math.sqrt(len(x)))) for vector in memory.vectors]
    read = sum((a * vector for a, vector in zip(attention, memory.vectors, strict=True)), torch.zeros(len(x)))
    top = sorted(attention, reverse=True)[: len(attention) // 16 + 1]
    return read, sum(top) / len(top)


def test_a_memory_is_read_as_loops_read_it() -> None:
    memory, features = some_memories().normal, random_bags(0).features
    likeness = memory.likeness(features)
    reads, found = memory.read(likeness), memory.found(likeness)
    for b, t in ((0, 0), (1, 5), (3, 20)):
        read, surely = read_slowly(memory, features[b, t])
        torch.testing.assert_close(reads[b, t], read)
        assert found.log_found[b, t].item() == pytest.approx(math.log(surely), rel=1e-9)
        assert found.log_missing[b, t].item() == pytest.approx(math.log(1 - surely), rel=1e-9)


def test_how_surely_stays_exact_at_the_ends() -> None:
    memory = Memory(4, 3).double()
    found = memory.found(torch.tensor([[800.0] * 4, [-800.0] * 4], dtype=torch.float64))
    assert found.log_missing.tolist() == [-800, 0]
    assert found.log_found.tolist() == [0, -800]


def test_features_come_with_what_both_memories_say() -> None:
    memories, features = some_memories().eval(), random_bags(0).features
    beside = memories(features)
    assert torch.equal(beside[..., :DIM], features)
    for b, t in ((0, 0), (3, 20)):
        normal, abnormal = (read_slowly(bank, features[b, t])[0] for bank in (memories.normal, memories.abnormal))
        torch.testing.assert_close(beside[b, t, DIM:], memories.mean(normal) + memories.mean(abnormal))


def test_noise_is_the_latents_own_and_there_in_training_alone() -> None:
    memories, features = some_memories(noise=True), torch.zeros(1, 20_000, DIM, dtype=torch.float64)
    quiet = memories.eval()(features)
    assert torch.equal(memories(features), quiet)
    noise = (memories.train()(features) - quiet)[0, :, DIM:]
    expected = (0.5 * memories.log_variance(memories.normal.read(memories.normal.likeness(features[0, 0])))).exp()
    torch.testing.assert_close(noise.std(dim=0), expected, rtol=0.05, atol=0)
    assert noise.mean(dim=0).abs().max() < 0.05
    assert torch.equal(some_memories().train()(features), quiet)
    assert Detector(DetectorConfig(memories=2, dropout=0.1), DIM).memories.noise  # type: ignore[union-attr]
    assert not Detector(DetectorConfig(memories=2, dropout=0), DIM).memories.noise  # type: ignore[union-attr]


def slow_loss(memories: DualMemory, bags: Bags, config: DualMemoryConfig) -> dict[str, float]:
    """The parts, in lists and loops."""
    four: dict[str, list[float]] = {"own": [], "foreign": [], "abnormal": [], "missing": []}
    divergences: list[float] = []
    vectors: dict[int, list[tuple[Tensor, Tensor, float]]] = {0: [], 1: []}
    for b, label in enumerate(bags.labels.int().tolist()):
        snippets = list(bags.features[b, : int(bags.mask[b].sum())])
        k = len(snippets) // 16 + 1
        normal = [read_slowly(memories.normal, x) for x in snippets]
        abnormal = [read_slowly(memories.abnormal, x) for x in snippets]
        in_normal, in_abnormal = [found for _, found in normal], [found for _, found in abnormal]
        if label:
            four["abnormal"].append(-math.log(sum(sorted(in_abnormal)[-k:]) / k))
            four["missing"].append(-math.log(sum(sorted(1 - found for found in in_normal)[-k:]) / k))
        else:
            four["own"] += [-math.log(found) for found in in_normal]
            four["foreign"] += [-math.log(1 - found) for found in in_abnormal]
            for read, _ in normal:
                mean, log_variance = memories.mean(read), memories.log_variance(read)
                divergences.append(
                    sum(
                        (m * m + math.exp(v) - 1 - v) / 2
                        for m, v in zip(mean.tolist(), log_variance.tolist(), strict=True)
                    )
                )
        ordinary = sorted(range(len(snippets)), key=lambda t: -in_normal[t])[:k]
        odd = sorted(range(len(snippets)), key=lambda t: -in_abnormal[t])[:k]
        of_odd, reads = (odd, abnormal) if label else (ordinary, normal)
        latent = sum((memories.mean(reads[t][0]) for t in of_odd), torch.zeros(DIM)) / k
        means = [torch.stack([snippets[t] for t in places]).mean(dim=0) for places in (ordinary, odd)]
        vectors[label].append((means[0] / means[0].norm(), means[1] / means[1].norm(), latent.norm().item()))
    pairs = list(itertools.product(vectors[0], vectors[1]))
    triplet = [
        max(0, config.triplet_margin + float((n[0] - a[0]).norm()) - float((n[0] - a[1]).norm())) for n, a in pairs
    ]
    magnitude = [max(0, config.magnitude_margin - a[2] + n[2]) for n, a in pairs]
    return {
        "memory": sum(sum(values) / len(values) for values in four.values() if values),
        "triplet": sum(triplet) / max(1, len(triplet)),
        "divergence": sum(divergences) / max(1, len(divergences)),
        "magnitude": sum(magnitude) / max(1, len(magnitude)),
    }


@pytest.mark.parametrize("labels", [(0, 1, 0, 1), (0, 0, 0, 0), (1, 1, 1, 1), (1,), (0,)])
def test_equals_lists_and_loops(labels: tuple[int, ...]) -> None:
    memories = some_memories()
    bags = random_bags(1, labels, (33, 20, 1, 5)[: len(labels)])
    loss, parts = DualMemoryLoss(CONFIG, memories)(bags)
    expected = slow_loss(memories, bags, CONFIG)
    for name, value in expected.items():
        assert float(parts[name]) == pytest.approx(value, rel=1e-9, abs=1e-12), name
    weighted = {"memory": 0.7, "triplet": 0.5, "divergence": 0.3, "magnitude": 0.2}
    assert loss.item() == pytest.approx(sum(weighted[name] * value for name, value in expected.items()), rel=1e-9)


def test_the_term_gives_a_detector_memories_where_it_has_none() -> None:
    objective = ObjectiveConfig(dual_memory=DualMemoryConfig(weight=1))
    assert Detector(DetectorConfig(), DIM).memories is None
    given = build_detector(DetectorConfig(), objective, DIM)
    assert given.memories is not None
    assert given.config.memories == len(given.memories.normal.vectors) == MEMORIES == 60
    assert build_detector(DetectorConfig(memories=7), objective, DIM).config.memories == 7
    assert (
        build_detector(DetectorConfig(memories=7), ObjectiveConfig(), DIM).memories is not None
    )  # trained by the base


def test_the_memories_are_the_detectors_and_all_of_it_learns() -> None:
    torch.manual_seed(0)
    objective = ObjectiveConfig(dual_memory=CONFIG)
    config = DetectorConfig(temporal="global_local", memories=5, width=8, hidden=4, dropout=0)
    training = DetectorTraining(build_detector(config, objective, DIM), objective)
    assert not training.terms.state_dict()
    bags = random_bags(0, dtype=torch.float32)
    training(bags.features, bags.mask, bags.labels, 0)[0].backward()
    for name, parameter in training.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_training_moves_each_class_to_its_own_memory() -> None:
    torch.manual_seed(0)
    memories, bags = DualMemory(3, DIM, noise=False), random_bags(2, (0, 1, 0, 1), (20, 20, 9, 9), dtype=torch.float32)
    directions = torch.where(bags.abnormal.view(-1, 1, 1), 3.0, -3.0)
    bags = bags._replace(features=bags.features * 0.1 + directions)
    loss = DualMemoryLoss(DualMemoryConfig(weight=1), memories)
    optimizer = torch.optim.Adam(memories.parameters(), lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        loss(bags)[0].backward()
        optimizer.step()
    banks = [memories.normal, memories.abnormal]
    normal, abnormal = (bank.found(bank.likeness(bags.features)).log_found.exp() for bank in banks)
    of_normal = bags.mask & ~bags.abnormal.unsqueeze(1)
    of_abnormal = bags.mask & bags.abnormal.unsqueeze(1)
    assert normal[of_normal].min() > 0.8 > 0.2 > normal[of_abnormal].max()
    assert abnormal[of_abnormal].min() > 0.8 > 0.2 > abnormal[of_normal].max()


def test_saved_and_loaded_with_its_memories(tmp_path: Path) -> None:
    objective = ObjectiveConfig(dual_memory=DualMemoryConfig(weight=1))
    net = build_detector(DetectorConfig(width=8, hidden=4), objective, DIM).eval()
    save_detector(net, tmp_path, [FeatureSpec(encoder="e", weights_sha256=None, dim=DIM)], "none", {})
    again, card = load_detector(tmp_path)
    assert card["config"]["memories"] == MEMORIES
    features = torch.randn(2, 3, DIM)
    assert torch.equal(again(features).log_scores, net(features).log_scores)


def test_bad_values_are_named() -> None:
    with pytest.raises(UserError, match=r"^detector\.memories is -1; it must be 0 \(none\) or more vectors$"):
        DetectorConfig(memories=-1)
    with pytest.raises(
        UserError, match=r"^dual_memory\.triplet_margin is -1; it must be a finite number of 0 or more$"
    ):
        DualMemoryConfig(triplet_margin=-1)
    with pytest.raises(UserError, match=r"^dual_memory\.divergence_weight is inf; it must be a finite number of 0"):
        DualMemoryConfig(divergence_weight=math.inf)
