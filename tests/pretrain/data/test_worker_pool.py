from __future__ import annotations

import os

import pytest

from pretrain.data.worker_pool import map_unordered


def _square(number: int) -> int:
    if number == 13:
        os._exit(1)  # what a crashing decoder does
    if number < 0:
        raise ValueError("negative")
    return number * number


def test_every_item_once_and_a_crash_costs_one() -> None:
    got = list(map_unordered(_square, range(20), 2, lambda number: -number))
    assert sorted(got) == sorted(-13 if number == 13 else number * number for number in range(20))


def test_exceptions_come_out() -> None:
    with pytest.raises(ValueError, match="negative"):
        list(map_unordered(_square, [-1], 1, lambda number: number))
