"""Intervals from drawing videos with replacement.

Videos are drawn, not frames: frames of one video are anything but independent. Draws are stratified by label, so each
holds as many abnormal and as many normal videos as the test set. Seeds of training are held fixed: the interval says
what other videos would have changed, the deviation over seeds what other seeds would have.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """Percentile interval (Efron, 1979); NaN where the value was not defined in any draw."""

    low: float
    high: float


def draw_weights(labels: ArrayLike, resamples: int, rng: np.random.Generator) -> Floats:
    """(resamples, videos): how often each video is drawn, stratified by `labels` (videos,)."""
    strata = np.asarray(labels)
    weights = np.zeros((resamples, len(strata)))
    for label in np.unique(strata):
        members = np.flatnonzero(strata == label)
        weights[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=resamples)
    return weights


def interval(samples: Floats, confidence: float = 0.95) -> Interval:
    """The middle `confidence` of the samples (resamples,); undefined ones are left out."""
    finite = samples[np.isfinite(samples)]
    if not len(finite):
        return Interval(float("nan"), float("nan"))
    tail = 50 * (1 - confidence)
    low, high = np.percentile(finite, [tail, 100 - tail])
    return Interval(float(low), float(high))


def paired(first: Floats, second: Floats, confidence: float = 0.95) -> Interval:
    """Interval of the mean over seeds of `second` less that of `first`, on the same draws of the same videos.

    `first` and `second`: (seeds, resamples); the numbers of seeds may differ, the draws must not.
    """
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"{first.shape[1]} and {second.shape[1]} draws cannot be paired")
    return interval(second.mean(axis=0) - first.mean(axis=0), confidence)
