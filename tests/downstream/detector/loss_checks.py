"""Random bags, and what must hold of every loss of the detector."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from downstream.detector.bags import Bags, LossParts
from downstream.detector.heads import BatchNormHead
from downstream.detector.model import DetectorConfig
from downstream.detector.objective import build_detector
from downstream.detector.terms import BASES, TERMS, ObjectiveConfig

Loss = Callable[[Bags], tuple[Tensor, LossParts]]

Grid = tuple[int, int]
WHOLE = (1, 1)
LABELS = (1, 0, 1, 0, 0)
LENGTHS = (40, 7, 3, 33, 1)
DIM = 6


def objective_of(name: str, config: Any) -> ObjectiveConfig:
    """That base alone, or that term on the default base."""
    return ObjectiveConfig(**({"base": name} if name in BASES else {}), **{name: config})


def all_terms(**fields: Any) -> ObjectiveConfig:
    """Every term of the table on from the first step, each with a weight of its own; other fields as given."""
    at_once = {name: {"warmup_steps": 0} if term.warms_up else {} for name, term in TERMS.items()}
    terms = {
        name: term.config(weight=0.75**number, **at_once[name]) for number, (name, term) in enumerate(TERMS.items())
    }
    return ObjectiveConfig(**{**terms, **fields})


def make_loss(name: str, config: Any, grid: Grid = WHOLE) -> Loss:
    """A loss of the tables as the objective makes it, in evaluation mode: what has a memory remembers one batch."""
    torch.manual_seed(0)
    detector = build_detector(DetectorConfig(width=DIM, hidden=4), objective_of(name, config), DIM, grid)
    module = {**BASES, **TERMS}[name].make(config, detector)

    def loss(bags: Bags) -> tuple[Tensor, LossParts]:
        if detector.branch is not None:
            bags = bags._replace(embeddings=detector.branch.to(bags.features)(bags.features)[0])
        if detector.memories is not None:
            detector.memories.to(bags.features)
        if isinstance(detector.head, BatchNormHead):
            before_norms = detector.head.to(bags.features)(bags.features, bags.mask).before_norms
            bags = bags._replace(before_norms=before_norms.to(bags.features))
        value: tuple[Tensor, LossParts] = module.to(bags.features)(bags)
        return value

    loss(random_bags(9, grid=grid))
    module.eval()
    detector.eval()
    return loss


def random_bags(
    seed: int,
    labels: Sequence[int] = LABELS,
    lengths: Sequence[int] = LENGTHS,
    dim: int = DIM,
    dtype: torch.dtype = torch.float64,
    teacher: bool = False,
    grid: Grid = WHOLE,
    embedding_dim: int | None = None,
) -> Bags:
    """Bags of these lengths in snippets, padded with nonsense to the longest."""
    generator = torch.Generator().manual_seed(seed)
    cells = grid[0] * grid[1]
    shape = (len(lengths), max(lengths) * cells)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64).to(dtype)

    return Bags(
        labels=torch.tensor(labels, dtype=dtype),
        mask=torch.arange(shape[1]) < torch.tensor(lengths).unsqueeze(1) * cells,
        log_scores=torch.nn.functional.logsigmoid(2 * normal(*shape)),
        features=normal(*shape, dim) + normal(dim),
        teacher_scores=normal(*shape).sigmoid() if teacher else None,
        embeddings=None if embedding_dim is None else normal(*shape, embedding_dim),
        grid=grid,
    )


def of_each(bags: Bags, change: Callable[[Tensor], Tensor]) -> Bags:
    """The bags with every tensor changed."""
    return bags._replace(
        **{name: change(values) for name, values in bags._asdict().items() if isinstance(values, Tensor)}
    )


def of_instances(bags: Bags, change: Callable[[Tensor], Tensor]) -> Bags:
    """The bags with every tensor but the labels changed."""
    return of_each(bags._replace(labels=bags.mask), change)._replace(labels=bags.labels)


def padded(bags: Bags, extra: int) -> Bags:
    """`extra` more columns of padding that look like the highest scored instance of all."""

    def widen(values: Tensor) -> Tensor:
        return torch.cat([values, torch.ones_like(values[:, :1]).expand(-1, extra, *values.shape[2:]) * 50], dim=1)

    more = of_instances(bags, widen)
    return more._replace(
        mask=torch.cat([bags.mask, torch.zeros(len(bags.mask), extra, dtype=torch.bool)], dim=1),
        log_scores=more.log_scores.clamp(max=0),
    )


def reordered(bags: Bags, order: Sequence[int]) -> Bags:
    """The bags in another order."""
    rows = torch.tensor(order)
    return of_each(bags, lambda values: values[rows])


def shuffled(bags: Bags, seed: int) -> Bags:
    """Every bag's instances, and its padding among them, in another order."""
    order = torch.rand(bags.mask.shape, generator=torch.Generator().manual_seed(seed)).argsort(dim=1)
    rows = torch.arange(len(order)).unsqueeze(1)
    return of_instances(bags, lambda values: values[rows, order])


def check_padding_changes_nothing(loss: Loss, grid: Grid = WHOLE) -> None:
    bags = random_bags(0, teacher=True, grid=grid)
    torch.testing.assert_close(loss(padded(bags, 9 * bags.cells))[0], loss(bags)[0], rtol=1e-12, atol=0)
    short = random_bags(0, LABELS, (4, 7, 3, 5, 1), teacher=True, grid=grid)
    torch.testing.assert_close(loss(padded(short, 60 * bags.cells))[0], loss(short)[0], rtol=1e-12, atol=0)


def check_bag_order_changes_nothing(loss: Loss, grid: Grid = WHOLE) -> None:
    bags = random_bags(1, teacher=True, grid=grid)
    torch.testing.assert_close(loss(reordered(bags, [3, 0, 4, 2, 1]))[0], loss(bags)[0], rtol=1e-12, atol=0)


def check_instance_order_changes_nothing(loss: Loss) -> None:
    bags = random_bags(2, teacher=True)
    for seed in range(3):
        torch.testing.assert_close(loss(shuffled(bags, seed))[0], loss(bags)[0], rtol=1e-12, atol=0)


def gradients(loss: Loss, bags: Bags) -> tuple[Tensor, Tensor, Tensor]:
    """The loss, and its gradients by log scores and by features (zeros where it does not touch them)."""
    log_scores, features = bags.log_scores.clone().requires_grad_(), bags.features.clone().requires_grad_()
    value, parts = loss(bags._replace(log_scores=log_scores, features=features))
    assert value.shape == ()
    assert value.requires_grad, "even a loss of 0 must be connected, or backward fails"
    assert not any(part.requires_grad for part in parts.values())
    first, second = torch.autograd.grad(value, (log_scores, features), allow_unused=True, materialize_grads=True)
    return value.detach(), first, second


def check_every_batch_is_finite(loss: Loss, dtype: torch.dtype = torch.float32, grid: Grid = WHOLE) -> None:
    """One class only, T = 1, B = 1, zero and equal features, saturated scores: finite, and nothing on padding."""
    draw = random.Random(0)
    for case in range(40):
        size, longest = draw.choice([1, 2, 5]), draw.choice([1, 2, 3, 40])
        labels = draw.choice([[0] * size, [1] * size, [draw.randint(0, 1) for _ in range(size)]])
        bags = random_bags(case, labels, [draw.randint(1, longest) for _ in range(size)], dtype=dtype, grid=grid)
        bags = bags._replace(
            features=bags.features * draw.choice([0, 1e-20, 1, 1e4]),
            log_scores=draw.choice([bags.log_scores, bags.log_scores * 1e3, bags.log_scores * 0]),
        )
        value, by_scores, by_features = gradients(loss, bags)
        assert value.dtype == dtype
        assert torch.isfinite(value), case
        assert value >= -1e-6, case
        for gradient in (by_scores, by_features):
            assert torch.isfinite(gradient).all(), case
            assert not gradient[~bags.mask].any(), case


def check_gradient(loss: Loss, seed: int = 5, grid: Grid = WHOLE) -> None:
    """Against finite differences, in float64, at a point where no choice of instances is on edge."""
    bags = random_bags(seed, (1, 0, 1), (5, 4, 2), teacher=True, grid=grid)
    inputs = (bags.log_scores.requires_grad_(), bags.features.requires_grad_())
    assert torch.autograd.gradcheck(lambda s, f: loss(bags._replace(log_scores=s, features=f))[0], inputs)


def check_a_step_lowers_it(loss: Loss, grid: Grid = WHOLE, rate: float = 1e-3) -> None:
    """The gradient reaches scores or features, and a small step against it makes the loss smaller."""
    bags = random_bags(4, teacher=True, grid=grid)
    before, by_scores, by_features = gradients(loss, bags)
    assert by_scores.any() or by_features.any()
    moved = bags._replace(log_scores=bags.log_scores - rate * by_scores, features=bags.features - rate * by_features)
    assert loss(moved)[0] < before


def check_a_step_separates_scores(loss: Loss, rate: float = 0.5) -> None:
    """One SGD step on raw scores raises the highest score of abnormal bags and lowers that of normal ones."""
    bags = random_bags(7, (1, 1, 0, 0), (20, 9, 20, 9))
    raw = torch.randn(bags.mask.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64).requires_grad_()
    before = bags._replace(log_scores=torch.nn.functional.logsigmoid(raw))
    loss(before)[0].backward()
    after = bags._replace(log_scores=torch.nn.functional.logsigmoid(raw.detach() - rate * raw.grad))
    change = after.scores.amax(dim=1) - before.scores.detach().amax(dim=1)
    assert (change[:2] > 0).all(), change
    assert (change[2:] < 0).all(), change


def check_cuda_equals_cpu(loss: Loss, grid: Grid = WHOLE) -> None:
    if not torch.cuda.is_available():
        if os.environ.get("REQUIRE_GPU") == "1":
            pytest.fail("REQUIRE_GPU=1, but there is no CUDA device")
        pytest.skip("no CUDA device")
    bags = random_bags(3, dtype=torch.float32, teacher=True, grid=grid)
    for here, there in zip(
        gradients(loss, bags), gradients(loss, of_each(bags, lambda values: values.cuda())), strict=True
    ):
        assert there.is_cuda
        torch.testing.assert_close(there.cpu(), here, rtol=1e-4, atol=1e-6)
