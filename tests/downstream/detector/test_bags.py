from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.detector.bags import bag_means, cross_entropy, num_top, top_mask
from tests.downstream.detector.loss_checks import random_bags


def test_scores_are_0_on_padding_whatever_stands_there() -> None:
    bags = random_bags(0)
    assert not bags.scores[~bags.mask].any()
    torch.testing.assert_close(bags.scores[bags.mask], bags.log_scores[bags.mask].exp())
    assert bags.abnormal.tolist() == [True, False, True, False, False]


@pytest.mark.parametrize(
    ("count", "k", "expected"), [(15, None, 1), (16, None, 2), (32, None, 3), (2, 3, 2), (9, 3, 3)]
)
def test_num_top_never_exceeds_the_bag(count: int, k: int | None, expected: int) -> None:
    assert num_top((torch.arange(40) < count).unsqueeze(0), k).tolist() == [expected]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(-3, 3), min_size=1, max_size=8), min_size=1, max_size=4), st.integers(1, 9))
def test_top_mask_is_sorting_each_bag(rows: list[list[int]], k: int) -> None:
    """Small integers, so that ties are common: they go to the earlier instance."""
    width = max(map(len, rows)) + 1
    values = torch.tensor([row + [99] * (width - len(row)) for row in rows], dtype=torch.float32)
    mask = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows])
    chosen = top_mask(values, mask, num_top(mask, k))
    for row, is_top in zip(rows, chosen.tolist(), strict=True):
        expected = sorted(range(len(row)), key=lambda i: (-row[i], i))[:k]
        assert [i for i, is_chosen in enumerate(is_top) if is_chosen] == sorted(expected)


def test_mean_of_a_bag_with_nothing_chosen_is_0() -> None:
    values = torch.tensor([[1.0, 3.0, 8.0], [5.0, 5.0, 5.0]])
    chosen = torch.tensor([[True, True, False], [False, False, False]])
    assert bag_means(values, chosen).tolist() == [2.0, 0.0]


@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("raw", [-60.0, -3.0, 0.0, 3.0, 12.0])
def test_cross_entropy_is_exact_near_0_and_1(raw: float, target: float) -> None:
    """Against the closed form by the raw score, in float64: log(1 + e^raw) - target * raw."""
    exact = max(raw, 0) + math.log1p(math.exp(-abs(raw))) - target * raw
    log_score = torch.nn.functional.logsigmoid(torch.tensor(raw))
    torch.testing.assert_close(cross_entropy(log_score, torch.tensor(target)).item(), exact, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("log_score", [0.0, -1e-30, -1e-7, -1.0, -1e4, -1e30])
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_cross_entropy_and_its_gradient_are_finite(log_score: float, target: float) -> None:
    score = torch.tensor(log_score, requires_grad=True)
    value = cross_entropy(score, torch.tensor(target))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(score.grad).all()
