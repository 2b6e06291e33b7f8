"""How high a rate may be of which few events were seen: the exact bound of a Poisson count (Garwood, 1936)."""

from __future__ import annotations

import math


def upper_rate(events: int, hours: float, confidence: float = 0.95) -> float:
    """The highest rate an hour at which so few events, or fewer, still have a chance of `1 - confidence`; one-sided.

    No event in h hours: 3 / h ("rule of three"). It takes events to come independently of each other.
    """
    return upper_count(events, confidence) / hours


def upper_count(events: int, confidence: float = 0.95) -> float:
    """The same for a count: half the quantile of chi-squared with `2 * events + 2` degrees of freedom, by bisection."""
    low, high = float(events), events + 20 + 10 * math.sqrt(events + 1)
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _at_most(events, middle) > 1 - confidence else (low, middle)
    return high


def _at_most(events: int, mean: float) -> float:
    """Chance of at most so many events where `mean` are expected: terms from the greatest down, until they vanish."""
    term = math.exp(events * math.log(mean) - mean - math.lgamma(events + 1)) if mean > 0 else 1.0
    total, count = 0.0, events
    while count >= 0 and term > 1e-18:
        total += term
        term *= count / mean if mean > 0 else 0.0
        count -= 1
    return total
