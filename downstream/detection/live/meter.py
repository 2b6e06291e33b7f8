"""How well a stream is kept up with: delays, speed. Constant memory, over days."""

from __future__ import annotations

import math

import numpy as np

_SHORTEST, _STEP, _BINS = 1e-4, 1.02, 820
"""Bins of 2 % from 0.1 ms to 1100 s; what lies outside counts at the ends."""


class Delays:
    """Seconds, counted in bins: quantiles to one per cent."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self.total = 0.0
        """Of all, in seconds."""

    def add(self, seconds: float) -> None:
        """One more."""
        place = int(math.log(max(seconds, _SHORTEST) / _SHORTEST) / math.log(_STEP))
        self._counts[min(place, _BINS - 1)] += 1
        self.total += seconds

    def within(self, seconds: float) -> int:
        """How many were at most that, to one bin."""
        place = int(math.log(max(seconds, _SHORTEST) / _SHORTEST) / math.log(_STEP))
        return int(self._counts[: place + 1].sum())

    @property
    def count(self) -> int:
        """How many there were."""
        return int(self._counts.sum())

    def quantile(self, share: float) -> float | None:
        """Such that `share` of all are at most that; None where there are none."""
        total = int(self._counts.sum())
        if not total:
            return None
        place = int(np.searchsorted(np.cumsum(self._counts), max(1, math.ceil(share * total))))
        return float(_SHORTEST * _STEP ** (place + 0.5))


class Meter:
    """What was scored, in which time, how late."""

    def __init__(self) -> None:
        self.delays = Delays()
        self.snippets = 0
        self.footage_seconds = self.busy_seconds = 0.0

    def worked(self, seconds: float) -> None:
        """The run was busy for so long; waiting for frames is not work."""
        self.busy_seconds += seconds

    def scored(self, footage_seconds: float, delay: float | None) -> None:
        """A snippet was; `delay`: seconds from the arrival of its last frame until its score was known."""
        self.snippets += 1
        self.footage_seconds += footage_seconds
        if delay is not None:
            self.delays.add(delay)

    @property
    def times_real_time(self) -> float | None:
        """Seconds of footage that a second of work scores: under 1, a camera cannot be kept up with."""
        return self.footage_seconds / self.busy_seconds if self.snippets and self.busy_seconds > 0 else None

    def describe_delay(self) -> str:
        """Median, and what 95 % stay under; empty where nothing was measured."""
        median, most = self.delays.quantile(0.5), self.delays.quantile(0.95)
        return "" if median is None or most is None else f"delay {median:.2f} s (95 %: {most:.2f} s)"

    def describe_speed(self) -> str:
        """Empty where nothing was measured."""
        speed = self.times_real_time
        return "" if speed is None else f"{speed:.1f} times real time"
