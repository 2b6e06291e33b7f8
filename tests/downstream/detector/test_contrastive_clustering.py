"""Contrastive clustering: against loops, and what must not change it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from downstream.detector.bags import Bags, normal_instances, num_top
from downstream.detector.contrastive_clustering import (
    ContrastiveClustering,
    ContrastiveClusteringConfig,
    assign,
    evenly_spaced,
)
from downstream.detector.directions import unit_vectors
from pretrain.errors import UserError
from tests.downstream.detector import loss_checks
from tests.downstream.detector.loss_checks import random_bags


def some_bags(lengths: list[int], labels: list[int], seed: int = 0) -> Bags:
    return random_bags(seed, labels, lengths)


def a_loss(seed: int = 1, **changes: float) -> ContrastiveClustering:
    torch.manual_seed(seed)
    config = ContrastiveClusteringConfig(**{"clusters": 3, **changes})  # type: ignore[arg-type]
    return ContrastiveClustering(config, 6).double()


def reference(loss: ContrastiveClustering, bags: Bags) -> float:
    """The formula of METHODS section 3 in plain numbers; only the clusters come from the code under test."""
    classes: dict[int, list[Tensor]] = {0: [], 1: []}
    for b in range(len(bags.labels)):
        length = int(bags.mask[b].sum())
        places = list(range(length))
        if bags.labels[b] == 1:
            places = sorted(places, key=lambda t: -float(bags.log_scores[b, t]))[: length // 16 + 1]
        for t in sorted(places):
            projected = loss.projection(bags.features[b, t]).detach()
            classes[int(bags.labels[b])].append(projected / projected.norm())
    per_centre = []
    for label, points in classes.items():
        clusters = assign(torch.stack(points), loss.config.clusters).tolist()
        for cluster in sorted(set(clusters)):
            members = [point for point, of in zip(points, clusters, strict=True) if of == cluster]
            centre = torch.stack(members).mean(dim=0)
            centre = centre / centre.norm()
            terms = []
            for point in members:
                own = math.exp(float(centre @ point) / loss.config.temperature)
                others = sum(math.exp(float(centre @ other) / loss.config.temperature) for other in classes[1 - label])
                terms.append(-math.log(own / (own + others)))
            per_centre.append(sum(terms) / len(terms))
    return sum(per_centre) / len(per_centre)


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=2, max_size=6),
    clusters=st.integers(1, 6),
    seed=st.integers(0, 10_000),
)
def test_equals_the_formula_in_loops(lengths: list[int], clusters: int, seed: int) -> None:
    bags = some_bags(lengths, [n % 2 for n in range(len(lengths))], seed=seed)
    loss = a_loss(clusters=clusters)
    assert loss(bags)[0].item() == pytest.approx(reference(loss, bags), rel=1e-9)


def test_neither_padding_nor_the_order_of_bags_matters_even_where_instances_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("downstream.detector.contrastive_clustering.MAX_INSTANCES", 12)
    loss = a_loss()
    assert normal_instances(random_bags(0)).sum() > 12
    loss_checks.check_padding_changes_nothing(loss)
    loss_checks.check_bag_order_changes_nothing(loss)


def test_instances_are_shared_out_evenly_over_bags_and_time() -> None:
    bags = some_bags([40, 4, 1], [0, 0, 0])
    kept = evenly_spaced(normal_instances(bags), 30)
    assert kept.sum(dim=1).tolist() == [10, 4, 1]
    assert torch.equal(kept[0].nonzero().flatten(), torch.arange(3, 40, 4))
    assert evenly_spaced(normal_instances(bags), 1).sum(dim=1).tolist() == [1, 1, 1]
    assert not (kept & ~bags.mask).any()


def test_clusters_are_found_and_the_start_needs_no_randomness() -> None:
    directions = torch.eye(4, dtype=torch.float64)
    rng = torch.Generator().manual_seed(0)
    truth = torch.randint(4, (60,), generator=rng)
    noise = 0.05 * torch.randn(60, 4, generator=rng, dtype=torch.float64)
    points = unit_vectors(directions[truth] + noise)
    clusters = assign(points, clusters=4)
    pairs = set(zip(truth.tolist(), clusters.tolist(), strict=True))
    assert len(pairs) == len({cluster for _, cluster in pairs}) == 4
    torch.manual_seed(99)
    assert torch.equal(assign(points, clusters=4), clusters)


def test_training_on_it_pulls_the_classes_apart() -> None:
    bags = some_bags([20, 20, 40, 40], [0, 0, 1, 1])
    loss = a_loss()
    optimiser = torch.optim.SGD(loss.parameters(), lr=0.2)
    values = []
    for _ in range(20):
        value, parts = loss(bags)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        values.append(float(value.detach()))
    assert values[-1] < 0.8 * values[0]
    assert parts["similarity_own"] > parts["similarity_other"]


@pytest.mark.parametrize("labels", [[0, 0], [1, 1]])
def test_without_one_class_it_is_zero_and_still_reaches_every_parameter(labels: list[int]) -> None:
    bags = some_bags([4, 7], labels)
    features = bags.features.requires_grad_()
    loss = a_loss()
    value, _ = loss(bags._replace(features=features))
    value.backward()
    assert value == 0
    for gradient in (features.grad, *(parameter.grad for parameter in loss.parameters())):
        assert gradient is not None
        assert (gradient == 0).all()


@pytest.mark.parametrize("lengths", [[1, 1], [1, 3], [9, 9]])
def test_gradients_are_finite_where_vectors_vanish_coincide_or_cancel(lengths: list[int]) -> None:
    bags = some_bags(lengths, [0, 1])
    features = torch.zeros_like(bags.features)
    features[0, ::2] = torch.tensor([1.0, 0, 0, 0, 0, 0])
    features[0, 1::4] = -features[0, 0]
    features.requires_grad_()
    loss = a_loss(clusters=2, temperature=1e-4)
    with torch.no_grad():
        loss.projection.bias.zero_()
    value, _ = loss(bags._replace(features=features))
    value.backward()
    assert value.isfinite()
    for gradient in (features.grad, *(parameter.grad for parameter in loss.parameters())):
        assert gradient is not None
        assert gradient.isfinite().all()
        assert gradient.abs().max() < 1e7


def test_autocast_changes_nothing() -> None:
    bags = some_bags([9, 9], [0, 1])
    bags = bags._replace(features=bags.features.float(), log_scores=bags.log_scores.float())
    loss = a_loss().float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = loss(bags)[0]
    assert under.dtype == torch.float32
    assert torch.equal(under, loss(bags)[0])


def test_no_gradient_comes_from_scores() -> None:
    bags = some_bags([20, 20], [0, 1])
    log_scores = bags.log_scores.requires_grad_()
    a_loss()(bags._replace(log_scores=log_scores))[0].backward()
    assert log_scores.grad is None
    assert num_top(bags.mask, None).tolist() == [2, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.0}, "contrastive_clustering.temperature is 0.0; it must be a finite number above 0"),
        ({"clusters": 0}, "contrastive_clustering.clusters is 0; it must be 1 or more"),
    ],
)
def test_bad_values_are_named(changes: dict[str, float], message: str) -> None:
    with pytest.raises(UserError) as caught:
        ContrastiveClusteringConfig(**changes)  # type: ignore[arg-type]
    assert str(caught.value) == message
