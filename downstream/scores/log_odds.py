"""Log odds of scores: the numbers that detectors make before the sigmoid, on which sure scores lie apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EDGE = 2.0**-53
"""Nearest to 0 and 1 that log odds are taken of: the step of double precision below 1."""


def log_odds(scores: NDArray[np.float64], edge: float = EDGE) -> NDArray[np.float64]:
    """log(p / (1 - p)) of scores within [0, 1], held `edge` off both ends."""
    held = np.clip(scores, edge, 1 - edge)
    odds: NDArray[np.float64] = np.log(held) - np.log1p(-held)
    return odds
