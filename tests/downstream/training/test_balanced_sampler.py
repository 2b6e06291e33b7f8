from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstream.training.balanced_sampler import BalancedSampler, share_of
from pretrain.errors import UserError


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(2, 12), st.sampled_from([0.3, 1.0, 2.0]), st.integers(0, 2**31)
)
def test_each_class_is_gone_through_whole_before_any_video_comes_again(
    normal: int, abnormal: int, batch_size: int, share: float, seed: int
) -> None:
    labels = [0] * normal + [1] * abnormal
    order = BalancedSampler(labels, batch_size, share, seed)
    seen: Counter[int] = Counter()
    for step in range(7):
        drawn = order.draw(step)
        assert len(drawn) == batch_size
        assert sum(labels[number] for number in drawn) == order.counts[1]
        seen.update(drawn.tolist())
    for label in (0, 1):
        times = [seen[number] for number in range(len(labels)) if labels[number] == label]
        assert max(times) - min(times) <= 1


def test_a_step_is_a_function_of_seed_and_step_alone() -> None:
    labels = [number % 3 == 0 for number in range(30)]
    first, again, other = (BalancedSampler(labels, 8, 1.0, seed) for seed in (5, 5, 6))
    late = first.draw(17)
    for step in range(17):
        again.draw(step)
    np.testing.assert_array_equal(again.draw(17), late)
    assert not np.array_equal(other.draw(17), late)


@given(st.integers(0, 40), st.integers(1, 8))
def test_the_shares_of_all_processes_are_the_step(bags: int, world_size: int) -> None:
    shares = [share_of(bags, rank, world_size) for rank in range(world_size)]
    assert [number for share in shares for number in share] == list(range(bags))
    assert len({len(share) for share in shares if len(share)}) <= 2


@pytest.mark.parametrize(("labels", "missing"), [([1, 1, 1], r"normal \(label 0\)"), ([0], r"abnormal \(label 1\)")])
def test_a_missing_class_is_named(labels: list[int], missing: str) -> None:
    with pytest.raises(UserError, match=rf"none of the {len(labels)} training videos is {missing}.*check the labels"):
        BalancedSampler(labels, 4, 1.0, 0)
