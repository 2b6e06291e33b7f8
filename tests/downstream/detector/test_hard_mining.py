from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import pytest
import torch

from downstream.detector.bags import Bags
from downstream.detector.hard_mining import HardMiningConfig, Selection, hard_mining, select
from pretrain.errors import UserError
from tests.downstream.detector import loss_checks
from tests.downstream.detector.loss_checks import random_bags

CONFIG = HardMiningConfig(weight=1.0)
LOSS = partial(hard_mining, config=CONFIG)
Vector = list[float]
Instance = tuple[int, int]
BATCHES = [((1, 0, 1, 0, 0), (40, 7, 3, 33, 1)), ((1, 1), (20, 5)), ((0, 0), (17, 2)), ((1, 0), (1, 1))]


def unit(vector: Vector) -> Vector:
    length = math.sqrt(sum(x * x for x in vector))
    return [x / length for x in vector] if length >= 1e-6 else [0.0] * len(vector)


def prototype(vectors: list[Vector]) -> Vector:
    return unit([sum(column) / len(vectors) for column in zip(*vectors, strict=True)])


def cosine(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


class Reference:
    """HIMS with lists and loops."""

    def __init__(self, bags: Bags, config: HardMiningConfig) -> None:
        self.config = config
        self.labels = bags.labels.tolist()
        self.length = [int(row.sum()) for row in bags.mask]
        self.score = bags.log_scores.exp().tolist()
        self.teacher = self.score if bags.teacher_scores is None else bags.teacher_scores.tolist()
        self.unit = [[unit(vector) for vector in row] for row in bags.features.tolist()]
        self.top: set[Instance] = set()
        self.hard_positives: set[Instance] = set()
        self.easy_normals: set[Instance] = set()
        self.hard_negatives: set[Instance] = set()
        self.select()

    def vectors(self, instances: list[Instance]) -> list[Vector]:
        return [self.unit[b][i] for b, i in instances]

    def select(self) -> None:
        bags = range(len(self.labels))
        k = [self.config.k if self.config.k is not None else n // 16 + 1 for n in self.length]
        by_score = [
            sorted(((b, i) for i in range(self.length[b])), key=lambda x: -self.score[x[0]][x[1]]) for b in bags
        ]
        top = [by_score[b][: k[b]] for b in bags]
        rest = [by_score[b][k[b] :] for b in bags]
        of_normal = [(b, i) for b in bags if self.labels[b] == 0 for i in range(self.length[b])]
        of_abnormal = [x for b in bags if self.labels[b] == 1 for x in top[b]]
        self.normal = prototype(self.vectors(of_normal)) if of_normal else None
        abnormal = prototype(self.vectors(of_abnormal)) if of_abnormal else None
        for b in bags:
            more = self.config.ratio * min(k[b], self.length[b])
            if self.labels[b] == 1:
                self.top |= set(top[b])
                own = prototype(self.vectors(top[b]))
                nearest = sorted(rest[b], key=lambda x: -cosine(self.unit[x[0]][x[1]], own))[:more]
                if self.config.mine_abnormal and self.normal is not None:
                    for x in nearest:
                        if cosine(self.unit[x[0]][x[1]], own) > cosine(self.unit[x[0]][x[1]], self.normal):
                            self.hard_positives.add(x)
                left = [x for x in rest[b] if x not in self.hard_positives]
                self.easy_normals |= set(left[-k[b] :])
            elif self.config.mine_normal:
                self.hard_negatives |= set(top[b])
                if abnormal is not None:
                    self.hard_negatives |= set(
                        sorted(rest[b], key=lambda x: -cosine(self.unit[x[0]][x[1]], abnormal))[:more]
                    )

    def triplet(self) -> float:
        if self.normal is None:
            return 0.0
        distance = {
            (b, i): sum((x - y) ** 2 for x, y in zip(self.unit[b][i], self.normal, strict=True))
            for b in range(len(self.labels))
            for i in range(self.length[b])
        }
        hinges = [
            max(0.0, self.config.margin + distance[p] - distance[n])
            for p in self.easy_normals | self.hard_negatives
            for n in self.top | self.hard_positives
        ]
        return sum(hinges) / len(hinges) if hinges else 0.0

    def entropies(self) -> tuple[float, float]:
        negatives = [-math.log(1 - self.score[b][i]) for b, i in self.hard_negatives]
        positives = [
            -self.teacher[b][i] * math.log(self.score[b][i]) - (1 - self.teacher[b][i]) * math.log(1 - self.score[b][i])
            for b, i in self.hard_positives
        ]
        return sum(negatives) / max(1, len(negatives)), sum(positives) / max(1, len(positives))


def instances(mask: torch.Tensor) -> set[Instance]:
    return {(int(b), int(i)) for b, i in mask.nonzero()}


@pytest.mark.parametrize(("labels", "lengths"), BATCHES)
@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(CONFIG, k=2, ratio=3),
        replace(CONFIG, mine_abnormal=False),
        replace(CONFIG, mine_normal=False),
        replace(CONFIG, k=5, mine_abnormal=False, mine_normal=False, margin=0.2),
    ],
)
def test_equals_the_reference(labels: list[int], lengths: list[int], config: HardMiningConfig) -> None:
    for seed in range(4):
        bags = random_bags(seed, labels, lengths, teacher=seed % 2 == 0)
        expected = Reference(bags, config)
        chosen = select(bags, config)
        for name in Selection._fields:
            assert instances(getattr(chosen, name)) == getattr(expected, name), name
        loss, parts = hard_mining(bags, replace(config, triplet_weight=2.0, bce_weight=3.0))
        negatives, positives = expected.entropies()
        assert parts["triplet"].item() == pytest.approx(2 * expected.triplet(), rel=1e-10)
        assert parts["hard_negative_bce"].item() == pytest.approx(3 * negatives, rel=1e-8)
        assert parts["hard_positive_bce"].item() == pytest.approx(3 * positives, rel=1e-8)
        assert loss.item() == pytest.approx(2 * expected.triplet() + 3 * negatives + 3 * positives, rel=1e-8)


def test_selection_finds_both_kinds_and_never_an_instance_twice() -> None:
    """Not one of the sets is always empty in these tests, and the sets are disjoint."""
    counts = Selection(*(0, 0, 0, 0))
    for seed in range(20):
        chosen = select(random_bags(seed), replace(CONFIG, k=2, ratio=2))
        assert torch.stack(list(chosen)).sum(dim=0).max() == 1
        counts = Selection(*(count + mask.sum() for count, mask in zip(counts, chosen, strict=True)))
    assert min(counts) > 20


def test_a_planted_anomaly_missed_by_its_score_is_mined() -> None:
    """Snippets 0 and 1 of the abnormal video look alike; only 0 scores high. Snippet 2 looks normal and scores next."""
    abnormal, normal = [1.0, 0.0], [0.0, 1.0]
    bags = Bags(
        labels=torch.tensor([1.0, 0.0]),
        mask=torch.ones(2, 4, dtype=torch.bool),
        log_scores=torch.tensor([[0.9, 0.2, 0.5, 0.3], [0.1, 0.2, 0.3, 0.1]]).log(),
        features=torch.tensor([[abnormal, [0.9, 0.1], normal, normal], [abnormal, normal, normal, normal]]),
    )
    chosen = select(bags, replace(CONFIG, k=1))
    assert instances(chosen.hard_positives) == {(0, 1)}
    assert instances(chosen.easy_normals) == {(0, 3)}
    assert instances(chosen.hard_negatives) == {(1, 2), (1, 0)}


def test_mined_instances_move() -> None:
    """Hard negatives sink; hard positives go to the teacher, and stay where there is none."""
    bags = random_bags(0, teacher=True)
    chosen = select(bags, CONFIG)
    _, by_scores, by_features = loss_checks.gradients(LOSS, bags)
    assert (by_scores[chosen.hard_negatives] > 0).all()
    above = (bags.scores > bags.teacher_scores)[chosen.hard_positives]
    assert len(above)
    assert ((by_scores[chosen.hard_positives] > 0) == above).all()
    assert by_features[chosen.top].any()
    assert by_features[chosen.easy_normals].any()
    alone = loss_checks.gradients(LOSS, bags._replace(teacher_scores=None))[1]
    torch.testing.assert_close(
        alone[chosen.hard_positives], torch.zeros(len(above), dtype=alone.dtype), atol=1e-12, rtol=0
    )


def test_a_step_on_features_lowers_the_triplets() -> None:
    bags = random_bags(3)
    before = hard_mining(bags, CONFIG)[1]["triplet"]
    by_features = loss_checks.gradients(LOSS, bags)[2]
    assert hard_mining(bags._replace(features=bags.features - 0.05 * by_features), CONFIG)[1]["triplet"] < before


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("triplet_weight", float("nan"), "a finite number of 0 or more"),
        ("bce_weight", float("inf"), "a finite number of 0 or more"),
        ("warmup_steps", -1, "0 or more"),
        ("k", 0, "1 or more, or None"),
        ("ratio", 0, "1 or more"),
        ("margin", 0.0, "a finite number above 0"),
    ],
)
def test_configuration_errors(field: str, value: float, text: str) -> None:
    with pytest.raises(UserError, match=rf"hard_mining.{field} is {value}; it must be {text}"):
        HardMiningConfig(**{field: value})
