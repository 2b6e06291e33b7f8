"""Gathered bags: every loss of two processes, its gradients and its memory equal those of one process."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from downstream.detector.bags import Bags
from downstream.detector.cross_batch_clustering import CrossBatchClusteringConfig
from downstream.detector.frame_bce import frame_bce
from downstream.detector.gather import gather_bags
from downstream.detector.model import DetectorConfig
from downstream.detector.objective import DetectorTraining, build_detector
from downstream.detector.terms import BASES, TERMS, ObjectiveConfig
from tests.downstream.detector.loss_checks import all_terms, objective_of

DIM, STEPS = 5, 3
GRID = (2, 2)
ALL_TERMS = all_terms(base="mil_ranking", cross_batch_clustering=CrossBatchClusteringConfig(weight=0.5, memory=2))
OBJECTIVES: dict[str, ObjectiveConfig] = {
    **{name: objective_of(name, base.config()) for name, base in BASES.items()},
    **{name: objective_of(name, getattr(ALL_TERMS, name)) for name in TERMS},
    "batch_alone": objective_of("cross_batch_clustering", CrossBatchClusteringConfig(weight=0.5, memory=0)),
    "all": ALL_TERMS,
    "frame_bce": ObjectiveConfig(),
}
# Bags of each rank in each step: labels and lengths; ranks differ in bags, padding and classes, step 2 has one class.
SHARES = [
    [([0, 1, 1], [5, 2, 4]), ([0, 1], [9, 7])],
    [([0, 0, 0], [3, 3, 1]), ([1, 1], [6, 2])],
    [([0, 0, 0], [2, 5, 3]), ([0, 0], [4, 8])],
]


def batch(step: int, ranks: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Cells, mask and labels of the ranks' bags, padded to the longest among these."""
    bags = [(rank, n, *bag) for rank in ranks for n, bag in enumerate(zip(*SHARES[step][rank], strict=True))]
    bags = [(rank, n, label, length * GRID[0] * GRID[1]) for rank, n, label, length in bags]
    longest = max(length for *_, length in bags)
    inputs = torch.full((len(bags), longest, DIM), 3.0)
    mask = torch.zeros(len(bags), longest, dtype=torch.bool)
    for row, (rank, n, _, length) in enumerate(bags):
        rng = torch.Generator().manual_seed(1000 * step + 100 * rank + n)
        inputs[row, :length] = torch.randn(length, DIM, generator=rng)
        mask[row, :length] = True
    return inputs, mask, torch.tensor([float(label) for _, _, label, _ in bags])


def train(name: str, ranks: list[int], wrap: bool) -> dict[str, Tensor]:
    """Loss and gradients of each step of plain descent, and the state at the end. In float64: sums in another order.

    Dropout would draw per process: there is none.
    """
    torch.set_default_dtype(torch.float64)
    try:
        torch.manual_seed(0)
        config = DetectorConfig(temporal="multi_scale", spatial="conv", width=8, hidden=4, dropout=0)
        base = frame_bce if name == "frame_bce" else None
        training = DetectorTraining(build_detector(config, OBJECTIVES[name], DIM, GRID), OBJECTIVES[name], base)
        wrapped = DistributedDataParallel(training) if wrap else training
        record: dict[str, Tensor] = {}
        for step in range(STEPS):
            training.zero_grad()
            inputs, mask, labels = batch(step, ranks)
            shares = None if base is None else inputs[..., 0].sigmoid() * labels.unsqueeze(1)
            loss = wrapped(inputs, mask, labels, step, instance_labels=shares)[0]
            loss.backward()
            record[f"{step}/loss"] = loss.detach()
            with torch.no_grad():
                for key, parameter in training.named_parameters():
                    if parameter.requires_grad:  # all but the teacher's
                        assert parameter.grad is not None, key
                        record[f"{step}/{key}"] = parameter.grad.clone()
                        parameter -= 0.1 * parameter.grad
            training.update_teacher(step)
        return record | {f"end/{key}": value for key, value in training.state_dict().items()}
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
    record: dict[str, Any] = {name: train(name, [rank], wrap=True) for name in OBJECTIVES}
    with mock.patch("downstream.detector.objective.gather_bags", lambda bags: bags):
        record["alone"] = train("mil_ranking", [rank], wrap=True)
    record["gathered"] = gathers_everything(rank)
    torch.save(record, f"{target}/{rank}.pt")
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


@pytest.mark.parametrize("name", OBJECTIVES)
def test_losses_gradients_and_memories_of_two_processes_equal_those_of_one(
    name: str, two_processes: list[dict[str, dict[str, Tensor]]]
) -> None:
    alone = train(name, [0, 1], wrap=False)
    for rank in (0, 1):
        shared = two_processes[rank][name]
        assert shared.keys() == alone.keys()
        for key, value in alone.items():
            assert difference(shared[key], value) <= 1e-6, key
    if name == "all":
        assert "end/teacher.head.0.weight" in alone
    if name in ("all", "cross_batch_clustering"):
        memory = "end/terms.cross_batch_clustering"
        assert alone[f"{memory}.num_pushed"].tolist() == [3, 2]
        for key in (f"{memory}.memory", "end/detector.branch.centres"):
            assert torch.equal(two_processes[0][name][key], two_processes[1][name][key])


def test_without_gathering_the_loss_would_be_another(two_processes: list[dict[str, dict[str, Tensor]]]) -> None:
    whole = train("mil_ranking", [0, 1], wrap=False)
    assert difference(two_processes[0]["alone"]["0/detector.project.weight"], whole["0/detector.project.weight"]) > 0.01


def test_ranks_in_order_padding_false_and_gradients_of_own_bags_times_ranks(
    two_processes: list[dict[str, dict[str, Tensor]]],
) -> None:
    for rank in (0, 1):
        gathered = two_processes[rank]["gathered"]
        assert gathered["labels"].tolist() == [0, 0, 1, 1, 1]
        assert gathered["mask"].sum(dim=1).tolist() == [3, 3, 2, 2, 2]
        assert gathered["log_scores"].tolist() == [[0, 1, 2], [3, 4, 5], [10, 11, 0], [12, 13, 0], [14, 15, 0]]
    assert two_processes[0]["gathered"]["gradient"].tolist() == [[0, 2, 4], [6, 8, 10]]
    assert two_processes[1]["gathered"]["gradient"].tolist() == [[12, 14], [18, 20], [24, 26]]


def test_one_process_gets_its_own_bags() -> None:
    bags = Bags(torch.zeros(1), torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 2), torch.zeros(1, 2, 3))
    assert gather_bags(bags) is bags
