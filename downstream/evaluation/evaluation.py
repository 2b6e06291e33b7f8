"""What a method reached on a test set: values over seeds, intervals over videos, and differences of two methods.

The same for scores of frames (`temporal_evaluation`) and for maps on boxes (`spatial_evaluation`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from downstream.evaluation.bootstrap import Interval, draw_weights, interval, paired
from downstream.evaluation.settings import EvaluationSettings, LocalisationSettings
from downstream.evaluation.weighted_auc import Values
from downstream.scores.supervision import CEILING, KEY
from pretrain.errors import UserError

Settings = EvaluationSettings | LocalisationSettings
Given = TypeVar("Given")
Checked = TypeVar("Checked")


@dataclass(frozen=True)
class MetricValue:
    """One metric: mean over seeds; NaN where it is not defined."""

    value: float
    deviation: float | None
    """Sample standard deviation over seeds; None with one seed."""
    interval: Interval | None
    """Of the mean over seeds, over draws of videos."""
    per_seed: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        """None stands for what is not defined."""
        low, high = self.interval or (None, None)
        numbers = {"value": self.value, "deviation": self.deviation, "ci_low": low, "ci_high": high}
        return {name: _number(value) for name, value in numbers.items()} | {
            "per_seed": [_number(value) for value in self.per_seed]
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """What one method reached on one test set: what temporal and spatial evaluations share."""

    method: str
    seeds: tuple[str, ...]
    settings: Settings
    metrics: Mapping[str, MetricValue]
    """Names and what they are: `metrics.METRICS`."""
    names: tuple[str, ...]
    """The videos, in the catalogue's order."""
    counts: Mapping[str, int]
    """Of the test set: how many videos, frames and so on."""
    about: str
    """The test set in words, with the settings that values hang on."""
    notes: tuple[str, ...] | None = None
    """What a reader has to know of the scores; None of a kind of evaluation that has none."""
    samples: Mapping[str, NDArray[np.float64]]
    """Metric -> (seeds, resamples): its value in every draw of videos."""
    ceiling: bool = False
    """Of detectors that were trained on labels of frames: no figure of a weakly supervised method."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Videos of the test set that have no scores, and why: no figure is of them."""

    def left_out_words(self) -> str:
        """`, 12 of 290 left out` for the end of a sentence about the test set; empty where none is."""
        count = len(self.left_out)
        return f", {count} of {count + len(self.names)} videos left out (no scores)" if count else ""

    @property
    def title(self) -> str:
        """The method for people: what a ceiling is stands behind its name."""
        return f"{self.method} {CEILING}" if self.ceiling else self.method

    def as_json(self) -> dict[str, Any]:
        """For a JSON file; None stands for what is not defined."""
        return {
            "method": self.method,
            **({KEY: "frames"} if self.ceiling else {}),
            "seeds": list(self.seeds),
            "test_set": dict(self.counts),
            **({"left_out": dict(self.left_out)} if self.left_out else {}),
            **({} if self.notes is None else {"notes": list(self.notes)}),
            "settings": dataclasses.asdict(self.settings),
            "metrics": {name: metric.as_json() for name, metric in self.metrics.items()},
        }


def check_seeds(method: str, given: Mapping[str, Given], check: Callable[[str, Given], Checked]) -> dict[str, Checked]:
    """Seed -> what `check` makes of the seed and what is given of it. Its UserErrors name method and seed."""
    checked = {}
    for seed, own in given.items():
        try:
            checked[seed] = check(seed, own)
        except UserError as error:
            raise UserError(f"{method}, seed {seed}: {error}") from error
    return checked


class SeedValues(NamedTuple):
    """The metrics of all seeds together."""

    metrics: dict[str, MetricValue]
    samples: dict[str, NDArray[np.float64]]
    """Metric -> (seeds, resamples)."""


def values_over_seeds(
    compute: Sequence[Callable[[NDArray[np.float64]], Values]], labels: Sequence[int], settings: Settings
) -> SeedValues:
    """`compute`, for each seed: weights (1 + resamples, videos) -> metrics. `labels`: of the videos, 1 is abnormal."""
    draws = draw_weights(labels, settings.resamples, np.random.default_rng(settings.seed))
    weights = np.concatenate([np.ones((1, len(labels))), draws])
    tables = [values_of(weights) for values_of in compute]
    stacked = {name: np.stack([table[name] for table in tables]) for name in tables[0]}
    return SeedValues(
        {name: _metric_value(table, settings) for name, table in stacked.items()},
        {name: table[:, 1:] for name, table in stacked.items()},
    )


def _metric_value(table: NDArray[np.float64], settings: Settings) -> MetricValue:
    """`table`: (seeds, 1 + resamples), the value itself first."""
    per_seed = table[:, 0]
    return MetricValue(
        value=float(per_seed.mean()),
        deviation=float(per_seed.std(ddof=1)) if len(per_seed) > 1 else None,
        interval=interval(table[:, 1:].mean(axis=0), settings.confidence) if settings.resamples else None,
        per_seed=tuple(per_seed.tolist()),
    )


@dataclass(frozen=True)
class Difference:
    """One metric of `second` less that of `first`, paired over videos, each the mean over its seeds."""

    value: float
    interval: Interval | None

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.interval is not None and (self.interval.low > 0 or self.interval.high < 0)

    def as_json(self) -> dict[str, Any]:
        """For `evaluation.json`."""
        low, high = self.interval or (None, None)
        numbers = {"difference": self.value, "ci_low": low, "ci_high": high}
        return {name: _number(value) for name, value in numbers.items()} | {"clear": self.clear}


def compare(first: Evaluation, second: Evaluation) -> dict[str, Difference]:
    """Metric -> `second` less `first`, on the same draws of the same videos. UserError where those differ."""
    if first.names != second.names or first.settings != second.settings:
        raise UserError(f"'{first.method}' and '{second.method}' were not evaluated on the same videos and settings")
    confidence = first.settings.confidence
    return {
        name: Difference(
            second.metrics[name].value - metric.value,
            paired(first.samples[name], second.samples[name], confidence) if first.settings.resamples else None,
        )
        for name, metric in first.metrics.items()
        if name in second.metrics
    }


def comparison_json(first: str, second: str, differences: Mapping[str, Difference]) -> dict[str, Any]:
    """For a JSON file: `second` less `first`, by metric."""
    less = {name: difference.as_json() for name, difference in differences.items()}
    return {"first": first, "second": second, "second_less_first": less}


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
