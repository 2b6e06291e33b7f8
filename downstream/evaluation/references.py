"""Scores that need no learning beside those of detectors: their figures, the best of them, and what is above it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from downstream.evaluation.evaluation import Difference, compare
from downstream.evaluation.metrics import metric_of, title_of
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.tables import reference_table
from downstream.evaluation.temporal_evaluation import TemporalEvaluation, evaluate_seeds
from downstream.scores.score_file import ScoreFile
from pretrain.data.catalogue import Video

JUDGED = ("frame_auc", "per_video_auc")
"""Metrics of which a detector is held against the best reference: which videos and when, and when alone."""


class References(NamedTuple):
    """Reference scores, evaluated."""

    evaluations: list[TemporalEvaluation]
    """Without what hangs on a threshold: references have none."""
    left_out: list[str]
    """Which are not among them and why, a sentence each."""


def evaluate_references(
    files: Mapping[str, ScoreFile],
    videos: Sequence[Video],
    settings: EvaluationSettings,
    unscored: Mapping[str, str] | None = None,
) -> References:
    """Evaluate references (name -> scores) on the videos that detectors are evaluated on: all but `unscored`.

    A reference without scores of one of them is left out: no detector's figure may hang on what a reference could read.
    UserError as `evaluate_seeds`.
    """
    wanted = [video for video in videos if video.name not in (unscored or {})]
    found, left_out = [], []
    for name, file in files.items():
        title = name.replace("_", " ")
        scores = {video.name: video for video in file.videos}
        if missing := [video.name for video in wanted if video.name not in scores]:
            why = file.unscored.get(missing[0], "scripts/reference_scores.py scores the run's test videos")
            left_out.append(
                f"the reference {title} is left out: it has no score of {len(missing)} of {len(wanted)} videos, the "
                f"first is '{missing[0]}' ({why})"
            )
            continue
        own = {"0": [scores[video.name] for video in wanted]}
        found.append(_without_threshold(evaluate_seeds(own, wanted, settings, title)))
    return References(found, left_out)


def _without_threshold(evaluation: TemporalEvaluation) -> TemporalEvaluation:
    kept = [name for name in evaluation.metrics if not metric_of(name).at_threshold]
    return dataclasses.replace(
        evaluation,
        metrics={name: evaluation.metrics[name] for name in kept},
        samples={name: evaluation.samples[name] for name in kept},
    )


@dataclass(frozen=True, kw_only=True)
class OverReference:
    """A method less a reference, by one metric."""

    method: str
    metric: str
    name: str
    """Of the reference."""
    value: float
    """The reference's."""
    difference: Difference
    """The method's less that, paired over videos."""

    @property
    def is_above(self) -> bool:
        """Whether the method is better by more than the interval; without an interval, at all."""
        bounds = self.difference.interval
        return self.difference.value > 0 if bounds is None else bounds.low > 0

    def as_json(self) -> dict[str, Any]:
        """For `evaluation.json`."""
        names = {"method": self.method, "metric": self.metric, "name": self.name}
        return names | {"value": self.value} | self.difference.as_json()

    def sentence(self) -> str:
        """`d, frame AUC: above the best reference (feature change 0.630) by +0.040 (+0.010 to +0.070)`."""
        digits, bounds = metric_of(self.metric).digits, self.difference.interval
        less = f"{self.difference.value:+.{digits}f}"
        if bounds is not None and not math.isnan(bounds.low):
            less += f" ({bounds.low:+.{digits}f} to {bounds.high:+.{digits}f})"
        word, link = ("above", " by ") if self.is_above else ("not above", ": ")
        best = f"the best reference ({self.name} {self.value:.{digits}f})"
        return f"{self.method}, {title_of(self.metric)}: {word} {best}{link}{less}"


def over_references(
    methods: Sequence[TemporalEvaluation], references: Sequence[TemporalEvaluation]
) -> list[OverReference]:
    """Each method less each reference by each of `JUDGED`, where both are defined."""
    found = []
    for method in methods:
        differences = [(reference, compare(reference, method)) for reference in references]
        for metric in JUDGED:
            for reference, difference in differences:
                value = reference.metrics[metric].value
                if not math.isnan(difference[metric].value):
                    names = {"method": method.method, "metric": metric, "name": reference.method}
                    found.append(OverReference(**names, value=value, difference=difference[metric]))
    return found


def best_references(over: Sequence[OverReference]) -> list[OverReference]:
    """Of each method and metric the one of the best reference."""
    best: dict[tuple[str, str], OverReference] = {}
    for each in over:
        key = each.method, each.metric
        if key not in best or each.value > best[key].value:
            best[key] = each
    return list(best.values())


def reference_report(methods: Sequence[TemporalEvaluation], references: References) -> str:
    """For the terminal: methods beside references, what is above the best of them, and which are left out."""
    lines = [f"note: {sentence}" for sentence in references.left_out]
    if references.evaluations:
        said = [each.sentence() for each in best_references(over_references(methods, references.evaluations))]
        lines = [reference_table(methods, references.evaluations), "", *said, *lines]
    return "\n".join(lines)
