"""How sure a figure is: over the sources that videos come from, and over networks.

Videos of one source (a camera, a film that clips were cut from) are anything but independent, so a bootstrap draw here
takes whole sources. Networks are few and their figures about normal, so theirs is Student's interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.network_comparison import paired_half_width
from downstream.evaluation.bootstrap import interval
from downstream.evaluation.ground_truth import LabelledVideo
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.temporal_metrics import WeightedVideos, frame_auc, per_video_auc

Floats = NDArray[np.float64]


def source_weights(groups: Sequence[str], resamples: int, rng: np.random.Generator) -> Floats:
    """(1 + resamples, videos): how often each video counts. First once each, then as often as its source is drawn."""
    names = sorted(set(groups))
    draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples).astype(np.float64)
    return np.concatenate([np.ones((1, len(groups))), draws[:, np.searchsorted(names, groups)]])


@dataclass(frozen=True, eq=False)
class Figure:
    """One metric of one method, by network: its value and its values on every draw of sources."""

    table: Floats
    """(networks, 1 + draws): the value itself first."""

    @property
    def per_network(self) -> Floats:
        """(networks,)"""
        return self.table[:, 0]

    def interval(self) -> tuple[float, float]:
        """95 % interval over sources of the mean over networks."""
        low, high = interval(self.table[:, 1:].mean(axis=0))
        return low, high

    def less(self, other: Figure) -> Figure:
        """Paired over draws, and over networks where both have several; a single one stands against each."""
        return Figure(self.table - other.table)

    def as_json(self) -> dict[str, Any]:
        """Mean over networks, their deviation, interval over sources, half width over networks; None: not defined."""
        low, high = self.interval()
        deviation = float(self.per_network.std(ddof=1)) if len(self.table) > 1 else None
        numbers = {
            "value": float(self.per_network.mean()),
            "deviation": deviation,
            "ci_low": low,
            "ci_high": high,
            "half_width_over_networks": paired_half_width(self.per_network),
        }
        return {key: None if number is None or np.isnan(number) else number for key, number in numbers.items()}


def figures(detectors: Sequence[Sequence[LabelledVideo]], weights: Floats) -> dict[str, Floats]:
    """Metric -> (1 + draws,), the mean over detectors of one network; all on the same videos."""
    settings = EvaluationSettings()
    parts: dict[str, list[Floats]] = {}
    for videos in detectors:
        weighted = WeightedVideos(videos=videos, settings=settings, weights=weights)
        for name, values in (frame_auc(weighted) | per_video_auc(weighted)).items():
            parts.setdefault(name, []).append(values)
    return {name: np.mean(values, axis=0) for name, values in parts.items()}
