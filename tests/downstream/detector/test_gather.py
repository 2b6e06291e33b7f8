"""Gathered bags: every loss of two processes, its gradients and its memory equal those of one process."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from downstream.detector.bags import Bags, LossParts
from downstream.detector.contrastive_clustering import ContrastiveClustering, ContrastiveClusteringConfig
from downstream.detector.cross_batch_clustering import (
    ClusterBranch,
    CrossBatchClustering,
    CrossBatchClusteringConfig,
    guide,
)
from downstream.detector.entropy import EntropyConfig
from downstream.detector.feature_magnitude import FeatureMagnitudeConfig, feature_magnitude
from downstream.detector.gather import gather_bags
from downstream.detector.hard_mining import HardMiningConfig, hard_mining
from downstream.detector.mil_ranking import MilRankingConfig, mil_ranking
from downstream.detector.model import DetectorConfig
from downstream.detector.objective import DetectorTraining, build_detector
from downstream.detector.smoothness import SmoothnessConfig
from downstream.detector.sparsity import SparsityConfig
from downstream.detector.spatial_smoothness import SpatialSmoothnessConfig
from downstream.detector.terms import ObjectiveConfig
from downstream.detector.topk_bce import TopKBCEConfig, topk_bce

DIM, WIDTH, STEPS = 5, 8, 3
GRID = (2, 2)
ALL_TERMS = ObjectiveConfig(
    base="mil_ranking",
    hard_mining=HardMiningConfig(weight=0.5, warmup_steps=0),
    contrastive_clustering=ContrastiveClusteringConfig(weight=0.25, clusters=2),
    cross_batch_clustering=CrossBatchClusteringConfig(weight=0.5, memory=2),
    smoothness=SmoothnessConfig(weight=0.1),
    sparsity=SparsityConfig(weight=0.1),
    spatial_smoothness=SpatialSmoothnessConfig(weight=0.1),
    entropy=EntropyConfig(weight=0.5),
)
Loss = Callable[[Bags], tuple[Tensor, LossParts]]
LOSSES: dict[str, Callable[[ClusterBranch], Loss]] = {
    "contrastive_clustering": lambda _: ContrastiveClustering(ContrastiveClusteringConfig(clusters=2), WIDTH),
    "cross_batch_clustering": lambda branch: CrossBatchClustering(CrossBatchClusteringConfig(memory=2), branch),
    "batch_alone": lambda branch: CrossBatchClustering(CrossBatchClusteringConfig(memory=0), branch),
    "hard_mining": lambda _: lambda bags: hard_mining(bags, HardMiningConfig(k=2)),
    "mil_ranking": lambda _: lambda bags: mil_ranking(bags, MilRankingConfig()),
    "topk_bce": lambda _: lambda bags: topk_bce(bags, TopKBCEConfig()),
    "feature_magnitude": lambda _: lambda bags: feature_magnitude(bags, FeatureMagnitudeConfig()),
}
# Bags of each rank in each step: labels and lengths; ranks differ in bags, padding and classes, step 2 has one class.
SHARES = [
    [([0, 1, 1], [5, 2, 4]), ([0, 1], [9, 7])],
    [([0, 0, 0], [3, 3, 1]), ([1, 1], [6, 2])],
    [([0, 0, 0], [2, 5, 3]), ([0, 0], [4, 8])],
]


class Network(nn.Module):
    """A small detector, its loss and the gathering, as fine-tuning wraps them."""

    def __init__(self, name: str, gathered: bool = True) -> None:
        super().__init__()
        self.encode, self.score = nn.Linear(DIM, WIDTH), nn.Linear(WIDTH, 1)
        self.branch = ClusterBranch(WIDTH, embedding_dim=4)
        self.loss = LOSSES[name](self.branch)
        self.gathered = gathered

    def forward(self, inputs: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        features = self.encode(inputs).tanh()
        embeddings, log_abnormal = self.branch(features)
        log_scores = guide(functional.logsigmoid(self.score(features).squeeze(2)), log_abnormal, "mean")
        teacher = inputs.mean(dim=2).sigmoid()
        bags = Bags(labels, mask, log_scores, features, embeddings, teacher)
        bags = gather_bags(bags) if self.gathered else bags
        count = bags.mask.sum()
        # a little of everything, so that no loss leaves a parameter of the network without a gradient
        everything = (bags.scores.sum() + (bags.embeddings * bags.mask.unsqueeze(2)).square().sum()) / count
        return self.loss(bags)[0] + 0.1 * everything


class Cells(nn.Module):
    """The detector of cells and its whole objective, as fine-tuning wraps them; dropout would draw per process."""

    def __init__(self) -> None:
        super().__init__()
        config = DetectorConfig(temporal="multi_scale", spatial="conv", width=WIDTH, hidden=4, dropout=0)
        self.training_of_cells = DetectorTraining(build_detector(config, ALL_TERMS, DIM, GRID), ALL_TERMS)

    def forward(self, inputs: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        loss: Tensor = self.training_of_cells(inputs, mask, labels, 0)[0]
        return loss


def batch(step: int, ranks: list[int], cells: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, mask and labels of the ranks' bags, padded to the longest among these."""
    bags = [(rank, n, *bag) for rank in ranks for n, bag in enumerate(zip(*SHARES[step][rank], strict=True))]
    bags = [(rank, n, label, length * cells) for rank, n, label, length in bags]
    longest = max(length for *_, length in bags)
    inputs = torch.full((len(bags), longest, DIM), 3.0)
    mask = torch.zeros(len(bags), longest, dtype=torch.bool)
    for row, (rank, n, _, length) in enumerate(bags):
        rng = torch.Generator().manual_seed(1000 * step + 100 * rank + n)
        inputs[row, :length] = torch.randn(length, DIM, generator=rng)
        mask[row, :length] = True
    return inputs, mask, torch.tensor([float(label) for _, _, label, _ in bags])


def train(name: str, ranks: list[int], wrap: bool, gathered: bool = True) -> dict[str, Tensor]:
    """Loss and gradients of each step of plain descent, and the state at the end. In float64: sums in another order."""
    torch.set_default_dtype(torch.float64)
    try:
        torch.manual_seed(0)
        network = Cells() if name == "cells" else Network(name, gathered)
        cells = GRID[0] * GRID[1] if name == "cells" else 1
        wrapped = DistributedDataParallel(network) if wrap else network
        found: dict[str, Tensor] = {}
        for step in range(STEPS):
            network.zero_grad()
            loss = wrapped(*batch(step, ranks, cells))
            loss.backward()
            found[f"{step}/loss"] = loss.detach()
            with torch.no_grad():
                for key, parameter in network.named_parameters():
                    if not parameter.requires_grad:  # the teacher's
                        continue
                    assert parameter.grad is not None, key
                    found[f"{step}/{key}"] = parameter.grad.clone()
                    parameter -= 0.1 * parameter.grad
            if isinstance(network, Cells):
                network.training_of_cells.update_teacher(step)
        return found | {f"end/{key}": value for key, value in network.state_dict().items()}
    finally:
        torch.set_default_dtype(torch.float32)


def gathers_everything(rank: int) -> dict[str, Tensor]:
    """Bags whose values tell rank, bag and place, gathered; and the gradient that a rank's own scores get."""
    shape = (2 + rank, 3 - rank)
    own = (10.0 * rank + torch.arange(shape[0] * shape[1])).view(shape).requires_grad_()
    mask = torch.ones(shape, dtype=torch.bool)
    bags = gather_bags(Bags(torch.full(shape[:1], float(rank)), mask, own, own.detach().unsqueeze(2)))
    assert bags.embeddings is None
    assert bags.teacher_scores is None
    (bags.log_scores * torch.arange(15.0).view(5, 3)).sum().backward()
    assert own.grad is not None
    return {"labels": bags.labels, "mask": bags.mask, "log_scores": bags.log_scores.detach(), "gradient": own.grad}


def one_of_two(rank: int, port: int, target: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=2)
    found: dict[str, Any] = {name: train(name, [rank], wrap=True) for name in (*LOSSES, "cells")}
    found["alone"] = train("mil_ranking", [rank], wrap=True, gathered=False)
    found["gathered"] = gathers_everything(rank)
    torch.save(found, f"{target}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Tensor]]]:
    target: Path = tmp_path_factory.mktemp("gathered")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    torch.multiprocessing.spawn(one_of_two, (port, str(target)), nprocs=2)
    return [torch.load(target / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


def difference(first: Tensor, second: Tensor) -> float:
    """Relative to the larger of both, by norm."""
    largest = max(float(first.double().norm()), float(second.double().norm()))
    return float((first.double() - second.double()).norm()) / largest if largest > 1e-12 else 0.0


@pytest.mark.parametrize("name", [*LOSSES, "cells"])
def test_losses_gradients_and_memories_of_two_processes_equal_those_of_one(
    name: str, two_processes: list[dict[str, dict[str, Tensor]]]
) -> None:
    alone = train(name, [0, 1], wrap=False)
    for rank in (0, 1):
        shared = two_processes[rank][name]
        assert shared.keys() == alone.keys()
        for key, value in alone.items():
            assert difference(shared[key], value) <= 1e-6, key
    if name == "cells":
        assert {
            f"end/training_of_cells.{key}" for key in ("terms.cross_batch_clustering.memory", "teacher.head.0.weight")
        } <= alone.keys()
    if name == "cross_batch_clustering":
        assert {"end/loss.memory", "end/loss.num_pushed", "end/branch.centres"} <= alone.keys()
        assert alone["end/loss.num_pushed"].tolist() == [3, 2]
        for key in ("end/loss.memory", "end/branch.centres"):
            assert torch.equal(two_processes[0][name][key], two_processes[1][name][key])


def test_without_gathering_the_loss_would_be_another(two_processes: list[dict[str, dict[str, Tensor]]]) -> None:
    whole = train("mil_ranking", [0, 1], wrap=False)
    assert difference(two_processes[0]["alone"]["0/encode.weight"], whole["0/encode.weight"]) > 0.01


def test_ranks_in_order_padding_false_and_gradients_of_own_bags_times_ranks(
    two_processes: list[dict[str, dict[str, Tensor]]],
) -> None:
    for rank in (0, 1):
        found = two_processes[rank]["gathered"]
        assert found["labels"].tolist() == [0, 0, 1, 1, 1]
        assert found["mask"].sum(dim=1).tolist() == [3, 3, 2, 2, 2]
        assert found["log_scores"].tolist() == [[0, 1, 2], [3, 4, 5], [10, 11, 0], [12, 13, 0], [14, 15, 0]]
    assert two_processes[0]["gathered"]["gradient"].tolist() == [[0, 2, 4], [6, 8, 10]]
    assert two_processes[1]["gathered"]["gradient"].tolist() == [[12, 14], [18, 20], [24, 26]]


def test_one_process_gets_its_own_bags() -> None:
    bags = Bags(torch.zeros(1), torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 2), torch.zeros(1, 2, 3))
    assert gather_bags(bags) is bags
