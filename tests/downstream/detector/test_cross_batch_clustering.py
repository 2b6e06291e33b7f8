"""Cross-batch clustering: against loops, what the memory holds, and which centres are used where."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from downstream.detector.bags import Bags
from downstream.detector.cross_batch_clustering import (
    ClusterBranch,
    CrossBatchClustering,
    CrossBatchClusteringConfig,
    guide,
)
from pretrain.errors import UserError
from tests.downstream.detector.loss_checks import random_bags

BOTH, NORMAL_ONLY, ABNORMAL_ONLY = [0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]


def a_loss(**changes: float) -> CrossBatchClustering:
    torch.manual_seed(0)
    config = CrossBatchClusteringConfig(**changes)  # type: ignore[arg-type]
    branch = ClusterBranch(6, embedding_dim=4, temperature=config.temperature).double()
    return CrossBatchClustering(config, branch).double()


def some_bags(labels: list[int], seed: int = 0) -> Bags:
    return random_bags(seed, labels, (18, 5, 1, 40)[: len(labels)], embedding_dim=4)


class Reference:
    """METHODS section 4 in lists and loops."""

    def __init__(self, config: CrossBatchClusteringConfig) -> None:
        self.config = config
        self.memory: dict[int, list[Tensor]] = {0: [], 1: []}

    def step(self, bags: Bags) -> tuple[float, dict[int, Tensor]]:
        assert bags.embeddings is not None
        members: dict[int, list[list[tuple[Tensor, float]]]] = {0: [], 1: []}
        for b, label in enumerate(bags.labels.int().tolist()):
            places = range(int(bags.mask[b].sum()))
            if label:
                places = sorted(places, key=lambda t: -float(bags.log_scores[b, t]))[: len(places) // 16 + 1]
            weights = [math.exp(bags.log_scores[b, t]) if label else 1.0 for t in places]
            members[label].append([(bags.embeddings[b, t], w) for t, w in zip(places, weights, strict=True)])
        used: dict[int, Tensor] = {}
        for label, videos in members.items():
            points = [point for video in videos for point in video]
            centres = list(self.memory[label])
            if points:
                centre = sum(w * p for p, w in points) / sum(w for _, w in points)
                centres.append(centre)
                self.memory[label] = (self.memory[label] + [centre])[-self.config.memory :]
                if not self.config.memory:
                    self.memory[label] = []
            if centres:
                used[label] = torch.stack(centres).mean(dim=0)
        return self.loss(members, used), used

    def loss(self, members: dict[int, list[list[tuple[Tensor, float]]]], used: dict[int, Tensor]) -> float:
        def q(point: Tensor) -> list[float]:
            powers = [math.exp(-float((point - used[c]).square().sum()) / self.config.temperature) for c in (0, 1)]
            return [power / sum(powers) for power in powers]

        total = 0.0
        for label, videos in members.items():
            points = [point for video in videos for point, _ in video]
            if points:
                spread = sum(float((point - used[label]).square().sum()) for point in points) / len(points)
                total += self.config.compactness * spread
        if len(used) < 2:
            return total
        if members[0]:
            points = [point for video in members[0] for point, _ in video]
            total += sum(-math.log(q(point)[0]) for point in points) / len(points)
        if members[1]:
            means = [sum(q(point)[1] for point, _ in video) / len(video) for video in members[1]]
            total += sum(-math.log(mean) for mean in means) / len(means)
        return total + max(0.0, self.config.margin - float((used[0] - used[1]).norm())) ** 2


@settings(max_examples=40, deadline=None)
@given(
    memory=st.sampled_from([0, 1, 4]),
    steps=st.lists(st.sampled_from([BOTH, NORMAL_ONLY, ABNORMAL_ONLY, [0], [1]]), min_size=1, max_size=7),
    temperature=st.sampled_from([1.0, 3.0]),
    margin=st.sampled_from([0.5, 5.0]),
    seed=st.integers(0, 10_000),
)
def test_equals_lists_and_loops_step_after_step(
    memory: int, steps: list[list[int]], temperature: float, margin: float, seed: int
) -> None:
    loss = a_loss(memory=memory, temperature=temperature, margin=margin, compactness=0.3)
    slow = Reference(loss.config)
    stored: dict[int, Tensor] = {}
    for number, labels in enumerate(steps):
        bags = some_bags(labels, seed + number)
        expected, used = slow.step(bags)
        assert float(loss(bags)[0]) == pytest.approx(expected, rel=1e-9, abs=1e-12)
        stored |= used
        for label, centre in stored.items():
            torch.testing.assert_close(loss.branch.centres[label], centre)
    for label in (0, 1):
        assert int(loss.branch.num_updates[label]) >= sum(label in labels for labels in steps)


def test_the_memory_forgets_the_oldest_and_a_missing_class_keeps_its_own() -> None:
    loss = a_loss(memory=2)
    means = []
    for seed, labels in enumerate([BOTH, NORMAL_ONLY, NORMAL_ONLY, BOTH]):
        bags = some_bags(labels, seed)
        assert bags.embeddings is not None
        means.append(bags.embeddings[bags.mask & (bags.labels == 0).unsqueeze(1)].mean(dim=0))
        abnormal_before = loss.memory[1].clone()
        loss(bags)
        if labels is NORMAL_ONLY:
            assert torch.equal(loss.memory[1], abnormal_before)
    assert loss.num_pushed.tolist() == [4, 2]
    kept = sorted(loss.memory[0].tolist())
    torch.testing.assert_close(
        torch.tensor(kept).double(), torch.tensor(sorted(m.tolist() for m in means[2:])).double()
    )


def test_the_branch_belongs_to_the_detector_alone() -> None:
    assert list(a_loss().state_dict()) == ["memory", "num_pushed"]
    assert not list(a_loss().parameters())


def test_evaluation_moves_nothing() -> None:
    loss = a_loss()
    loss(some_bags(BOTH))
    state, centres = copy.deepcopy(loss.state_dict()), loss.branch.centres.clone()
    loss.eval()(some_bags(BOTH, 1))
    assert all(torch.equal(value, state[name]) for name, value in loss.state_dict().items())
    assert torch.equal(loss.branch.centres, centres)


def test_the_branch_is_neutral_until_both_classes_were_seen_and_then_uses_what_was_stored_before() -> None:
    loss = a_loss(memory=0, temperature=2.0)
    features = random_bags(0, (0, 1), (7, 3)).features
    loss(some_bags(NORMAL_ONLY))
    torch.testing.assert_close(loss.branch(features)[1], torch.full((2, 7), -math.log(2), dtype=torch.float64))
    loss(some_bags(BOTH))
    before = loss.branch.centres.clone()
    embeddings, log_abnormal = loss.branch(features)
    distances = torch.stack([(embeddings - centre).square().sum(dim=-1) for centre in before], dim=-1)
    torch.testing.assert_close(log_abnormal, (-distances / 2.0).log_softmax(dim=-1)[..., 1])


def test_backward_works_though_the_loss_moves_the_centres_that_the_forward_pass_used() -> None:
    loss = a_loss(memory=1)
    loss(some_bags(BOTH))
    bags = some_bags(BOTH, 1)
    features = bags.features.clone().requires_grad_()
    embeddings, log_abnormal = loss.branch(features)
    guided = guide(bags.log_scores, log_abnormal, "product")
    value, _ = loss(bags._replace(embeddings=embeddings, log_scores=guided))
    (value + (guided * bags.mask).sum()).backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()
    assert (features.grad[bags.mask].abs().sum(dim=-1) > 0).all()


def test_gradient_reaches_the_centres_through_the_current_batchs_share() -> None:
    """Checked by finite differences; scores choose and weigh, without gradient."""
    loss = a_loss(memory=2)
    loss(some_bags(BOTH, 5))
    loss.eval()
    bags = some_bags(BOTH)
    assert bags.embeddings is not None
    log_scores = bags.log_scores.clone().requires_grad_()
    embeddings = bags.embeddings.masked_fill(~bags.mask.unsqueeze(2), 0.0).requires_grad_()
    assert torch.autograd.gradcheck(lambda e: loss(bags._replace(embeddings=e))[0], (embeddings,), fast_mode=True)
    loss(bags._replace(embeddings=embeddings, log_scores=log_scores))[0].backward()
    assert log_scores.grad is None


@pytest.mark.parametrize("labels", [BOTH, NORMAL_ONLY, ABNORMAL_ONLY, [0], [1]])
@pytest.mark.parametrize("same", [True, False])
def test_gradients_are_finite_also_where_classes_are_missing_or_coincide(labels: list[int], same: bool) -> None:
    bags = some_bags(labels)
    assert bags.embeddings is not None
    embeddings = torch.ones_like(bags.embeddings) if same else 1e4 * bags.embeddings
    embeddings.requires_grad_()
    unlikely = torch.full_like(bags.log_scores, -1e4)  # exp is 0: weights by plain scores would be 0 / 0
    value, _ = a_loss(memory=1)(bags._replace(embeddings=embeddings, log_scores=unlikely))
    value.backward()
    assert value.isfinite()
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()


@pytest.mark.parametrize(("mode", "expected"), [("none", 0.8), ("product", 0.16), ("mean", 0.5)])
def test_guidance_in_probabilities(mode: str, expected: float) -> None:
    scores, memberships = torch.tensor([0.8]).log(), torch.tensor([0.2]).log()
    assert float(guide(scores, memberships, mode).exp()) == pytest.approx(expected)  # type: ignore[arg-type]
    low = torch.tensor([-500.0], requires_grad=True)
    guided = guide(low, torch.tensor([-700.0]), mode)  # type: ignore[arg-type]
    guided.backward()
    assert guided.isfinite()
    assert low.grad is not None
    assert float(low.grad) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"memory": -1}, "cross_batch_clustering.memory is -1; it must be 0 (the batch alone) or more batches"),
        ({"temperature": 0.0}, "cross_batch_clustering.temperature is 0.0; it must be a finite number above 0"),
        (
            {"guidance": "products"},
            "cross_batch_clustering.guidance is 'products'; it must be one of none, product, mean;"
            " did you mean 'product'?",
        ),
    ],
)
def test_bad_values_are_named(changes: dict[str, float], message: str) -> None:
    with pytest.raises(UserError) as caught:
        CrossBatchClusteringConfig(**changes)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_a_detector_without_the_branch_is_an_error() -> None:
    with pytest.raises(ValueError, match="clustering branch"):
        a_loss()(some_bags(BOTH)._replace(embeddings=None))
