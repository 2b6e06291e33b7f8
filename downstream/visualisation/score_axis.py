"""How scores are laid out along an axis, and written as words.

Sure detectors give 0.99 and 0.9999999: on a plain axis one flat line. Where all scores lie within [0, 1] the axis is
that of log odds, log(p / (1 - p)), on which they lie apart; its ticks are labelled with plain scores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from downstream.scores.log_odds import log_odds

Floats = NDArray[np.float64]

NEAREST = 5e-8
"""Scores that are nearer to 0 or 1 than this are drawn as 0 and as 1: float32 knows nothing between it and 1."""
BEYOND = math.log(10.0)
"""How far past all others 0 and 1 themselves are drawn, which have no log odds: one power of ten."""
LEAST_SPAN = 5.0
"""Of an axis of log odds. Less would blow up trifles to mountains; this holds two ticks at least."""


@dataclass(frozen=True, slots=True)
class ScoreAxis:
    """Places of scores on a picture's axis; `low` and `high` are the places of its ends."""

    low: float
    high: float
    is_log_odds: bool

    def place(self, scores: ArrayLike) -> Floats:
        """Places of any number of scores, held within the axis."""
        values = np.asarray(scores, np.float64)
        return np.clip(axis_odds(values) if self.is_log_odds else values, self.low, self.high)

    def share(self, scores: ArrayLike) -> Floats:
        """The same as shares of the axis: 0 is its lower end, 1 its upper one."""
        return (self.place(scores) - self.low) / (self.high - self.low)

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """At most so many places with their labels, increasing; round numbers."""
        if not self.is_log_odds:
            from matplotlib.ticker import MaxNLocator

            places = MaxNLocator(max(1, most - 1), steps=[1, 2, 5, 10]).tick_values(self.low, self.high)
            return [(float(at), f"{at:.6g}") for at in places if self.low <= at <= self.high][:most]
        ladder = {step: _rung(step) for step in range(-7, 8)}
        inside = {step: rung for step, rung in ladder.items() if self.low <= rung[0] <= self.high}
        every = next(every for every in range(1, 16) if sum(step % every == 0 for step in inside) <= most)
        return [rung for step, rung in inside.items() if step % every == 0]


def score_axis(scores: ArrayLike, threshold: float | None) -> ScoreAxis:
    """The axis for these scores, one or more; the threshold lies on it too. A plain axis holds 0."""
    values = np.asarray(scores, np.float64)
    if values.min() < 0 or values.max() > 1:
        marks = np.append(values, [0.0] if threshold is None else [0.0, threshold])
        return ScoreAxis(float(marks.min()), float(marks.max()), is_log_odds=False)
    marks = values if threshold is None else np.append(values, threshold)
    inside = axis_odds(marks[(marks > NEAREST) & (marks < 1 - NEAREST)])
    low, high = (float(inside.min()), float(inside.max())) if len(inside) else (0.0, 0.0)
    low -= BEYOND * bool((marks <= NEAREST).any())
    high += BEYOND * bool((marks >= 1 - NEAREST).any())
    missing = max(0.0, LEAST_SPAN - (high - low)) / 2
    return ScoreAxis(low - missing, high + missing, is_log_odds=True)


def plain_score(score: float) -> str:
    """Two decimals, and as many more as it takes to tell a score from 0 and from 1: 0.73, 0.9998, 0.004; at most 7."""
    rest = min(score, 1 - score)
    digits = min(7, -math.floor(math.log10(rest))) if NEAREST <= rest < 0.01 else 2
    return f"{score:.{digits}f}"


def axis_odds(scores: Floats) -> Floats:
    """Places on an axis of log odds of scores in [0, 1], those at both ends a little inside."""
    return log_odds(scores, NEAREST / 10)


def _rung(step: int) -> tuple[float, str]:
    """Ticks of log odds: 0.5 is step 0, 0.9 step 1, 0.99 step 2, 0.1 step -1."""
    score = 0.5 if step == 0 else 10.0**step if step < 0 else 1 - 10.0**-step
    return float(axis_odds(np.array(score))), f"{score:.{max(1, abs(step))}f}"
