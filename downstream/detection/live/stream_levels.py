"""What scores of a stream mean to people: by the calibration, or by what the stream itself has shown of late."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from downstream.events.alarm_level import AlarmLevel, LevelScale, log_odds_of, scale_around

REMEMBERED = 8192
"""Scores after which older ones count half: at 16 frames a snippet and 25 a second an hour and a half [ours]."""
_END, _STEPS = 20.0, 20
_PLACES = np.arange(-_END * _STEPS, _END * _STEPS + 1) / _STEPS
"""Of log odds, in which scores are counted: memory does not grow with them."""


class StreamLevels:
    """Takes scores in order; says the level of any."""

    def __init__(self, calibrated: LevelScale | None, release: float = math.inf) -> None:
        """`release`: scores from there on keep events going; after the first they do not say what is ordinary."""
        self.calibrated, self.release = calibrated, release
        self._counts = np.zeros(len(_PLACES))
        self._total = 0

    def add(self, score: float) -> None:
        """The next score became known."""
        if score >= self.release and self._total:
            return
        self._counts[round((log_odds_of(score) + _END) * _STEPS)] += 1
        self._total += 1
        if self._total >= 2 * REMEMBERED:
            self._counts /= 2
            self._total = REMEMBERED

    def level(self, score: float) -> AlarmLevel:
        """Of a score, once any was added."""
        return (self.calibrated or self._own()).level(score)

    def _own(self) -> LevelScale:
        middle = _median(_PLACES, self._counts)
        away = np.abs(_PLACES - middle)
        order = np.argsort(away, kind="stable")
        return scale_around(middle, _median(away[order], self._counts[order]), "this stream")


def _median(values: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """Of increasing values, each there so many times."""
    sums = np.cumsum(counts)
    return float(values[int(np.searchsorted(sums, sums[-1] / 2))])
