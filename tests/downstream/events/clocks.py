"""Clocks of videos for tests of events: even rates, and recordings whose rate varies and that have gaps."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from pretrain.data.video import Clock, FrameClock, clock_of

GAPS = st.dictionaries(st.integers(1, 240), st.sampled_from([2.6, 7.0, 600.0]), max_size=4)
RATES = st.lists(st.sampled_from([0.08, 0.1, 0.4]), min_size=1, max_size=5)


def uneven(gaps: dict[int, float], rates: list[float]) -> FrameClock:
    """250 frames: gaps before some of them, the rates in equal parts."""
    steps = np.repeat(rates, -(-250 // len(rates)))[:249]
    for frame, seconds in gaps.items():
        steps[frame - 1] = seconds
    return FrameClock.of_times(np.append(0.0, np.cumsum(steps)), 25.0)


CLOCKS = st.one_of(st.sampled_from([5.0, 10.0, 12.5]), st.builds(uneven, GAPS, RATES))


def seconds_of(frames: int, clock: Clock | float) -> float:
    """Footage in so many frames."""
    return clock_of(clock).seen(0, frames)
