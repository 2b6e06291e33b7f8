from __future__ import annotations

import multiprocessing
import os
import time

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


def test_a_crash_between_two_results_loses_nothing() -> None:
    """The pool is found broken when the next item is handed to it, not when a result is waited for."""
    got = []
    for result in map_unordered(_square, [1, 13, 2, 3, 4], 1, lambda number: -number):
        got.append(result)
        if result == 1:
            for child in multiprocessing.active_children():  # 13 is next, and ends it
                child.join(30)
            time.sleep(0.5)  # the pool's own thread needs a moment to see that
    assert sorted(got) == [-13, 1, 4, 9, 16]


def test_exceptions_come_out() -> None:
    with pytest.raises(ValueError, match="negative"):
        list(map_unordered(_square, [-1], 1, lambda number: number))
