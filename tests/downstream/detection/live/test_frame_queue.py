"""The queue: every frame comes or is counted in its place, whole runs are left out, its end says why."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstream.detection.live.frame_queue import Frame, FrameQueue, Gap
from pretrain.errors import UserError

PIXELS = np.zeros((1, 1, 3), np.uint8)


@given(st.integers(2, 12), st.lists(st.booleans(), max_size=150))
def test_every_frame_comes_or_is_counted_in_its_place(capacity: int, takes: list[bool]) -> None:
    queue, put, items = FrameQueue(capacity, may_drop=True), 0, []
    for take in takes:
        if take and queue.waiting:
            items.append(queue.get())
        elif not take:
            if queue.wants_frame():
                queue.put(Frame(put, 0.0, 0.0, PIXELS))
            put += 1
        assert queue.waiting <= capacity
    queue.end()
    items += [queue.get() for _ in range(len(takes))]
    expected, dropped = 0, 0
    for item in items:
        if isinstance(item, Gap):
            expected, dropped = expected + item.frames, dropped + item.frames
        elif item is not None:
            assert item.number == expected
            expected += 1
    assert (expected, dropped) == (put, queue.dropped)


def test_after_a_run_three_quarters_are_free() -> None:
    queue = FrameQueue(8, may_drop=True, fps=4)
    wanted = []
    for number in range(20):
        wanted.append(queue.wants_frame())
        if wanted[-1]:
            queue.put(Frame(number, 0.0, 0.0, PIXELS))
        if number >= 8:
            queue.get()
    assert wanted == [True] * 8 + [False] * 6 + [True] * 6
    gaps = [item for _ in range(9) if isinstance(item := queue.get(0), Gap)]
    assert gaps == []
    assert queue.dropped == 6


def test_end_raises_its_problem_after_what_is_there() -> None:
    queue = FrameQueue(2, may_drop=False)
    queue.put(Frame(0, 0.0, 0.0, PIXELS))
    queue.end(UserError("broken"))
    assert not queue.is_over
    assert isinstance(queue.get(), Frame)
    with pytest.raises(UserError, match="broken"):
        queue.get()
    assert queue.is_over
