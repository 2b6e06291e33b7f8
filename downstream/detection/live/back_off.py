"""How long to wait before a live input that is away is called again."""

from __future__ import annotations

import numpy as np

MAX_DELAY_SECONDS = 60.0


class BackOff:
    """Seconds between attempts: doubled each time, up to a minute, a fifth more or less by chance.

    By chance, so that twenty cameras behind one switch are not all called at the same moment when it is back.
    """

    def __init__(self, first: float, rng: np.random.Generator) -> None:
        self._first, self._delay, self._rng = first, min(first, MAX_DELAY_SECONDS), rng

    def next(self) -> float:
        """How long to wait now."""
        delay = self._delay
        self._delay = min(2 * delay, MAX_DELAY_SECONDS)
        return float(delay * self._rng.uniform(0.8, 1.2))

    def worked(self, seconds: float) -> None:
        """A connection held so long. The next wait is the first one again, unless it broke sooner than the last."""
        if 2 * seconds >= self._delay:
            self._delay = min(self._first, MAX_DELAY_SECONDS)
