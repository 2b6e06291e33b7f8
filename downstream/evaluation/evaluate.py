"""All figures of one method on one test set: values, deviations over seeds, intervals over videos.

evaluation = evaluate(read_scores(path).videos, catalogue.subset("test"), EvaluationSettings())
evaluation.measures["frame_auc"].value
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from downstream.evaluation.bootstrap import Interval, draw_weights, interval, paired
from downstream.evaluation.ground_truth import LabelledVideo, align
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.temporal_metrics import weighted_metrics
from downstream.events.rule import FALLBACK_FPS
from downstream.scores.score_file import VideoScores
from pretrain.data.catalogue import Video
from pretrain.errors import UserError

METRICS = {
    "frame_auc": ("frame AUC", "all frames of all videos on one ROC curve"),
    "frame_ap": ("frame AP", "step-wise average precision of all frames"),
    "frame_ap_trapezoid": ("frame AP, trapezoid", "area under the PR curve by trapezoids: optimistic"),
    "abnormal_auc": ("AUC, abnormal videos", "frames of abnormal videos alone"),
    "abnormal_ap": ("AP, abnormal videos", "step-wise, frames of abnormal videos alone"),
    "abnormal_ap_trapezoid": ("AP trapezoid, abnormal videos", "frames of abnormal videos alone"),
    "per_video_auc": ("mean per-video AUC", "AUC inside each video that holds both kinds of frames, averaged"),
    "video_auc": ("video AUC", "highest score of a video against its label"),
    "recall_at_fpr": ("recall at FPR", "share of anomalous frames found at so many false positives"),
    "false_alarm_rate": ("false-alarm rate", "share of normal videos' frames at or over the threshold"),
    "false_alarms_per_hour": ("false alarms per hour", "events on normal videos, per hour of normal video"),
    "event_f1_iou": ("event F1 at IoU", "greedy one-to-one matching with annotated spans, over all videos"),
    "event_precision_iou": ("event precision at IoU", ""),
    "event_recall_iou": ("event recall at IoU", ""),
    "class_auc": ("AUC of", "anomalous frames of the class against its own and all normal videos' normal frames"),
}
"""Metric (without its parameter) -> title and what it is."""
LOWER_IS_BETTER = ("false_alarm_rate", "false_alarms_per_hour")


@dataclass(frozen=True)
class Measure:
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


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one method reached on one test set."""

    method: str
    seeds: tuple[str, ...]
    settings: EvaluationSettings
    measures: Mapping[str, Measure]
    videos: tuple[tuple[LabelledVideo, ...], ...]
    """By seed, in the catalogue's order."""
    notes: tuple[str, ...]
    samples: Mapping[str, NDArray[np.float64]]
    """Metric -> (seeds, resamples): its value in every draw of videos."""

    def counts(self) -> dict[str, int]:
        """Of the test set: videos, frames that count."""
        videos = self.videos[0]
        return {
            "videos": len(videos),
            "abnormal_videos": sum(video.label == 1 for video in videos),
            "frames": sum(video.frames for video in videos),
            "anomalous_frames": sum(int(video.positive.sum()) for video in videos),
        }

    def as_json(self) -> dict[str, Any]:
        """For `evaluation.json`."""
        return {
            "method": self.method,
            "seeds": list(self.seeds),
            "test_set": self.counts(),
            "notes": list(self.notes),
            "settings": dataclasses.asdict(self.settings),
            "metrics": {name: measure.as_json() for name, measure in self.measures.items()},
        }


def evaluate(
    scores: Sequence[VideoScores],
    videos: Sequence[Video],
    settings: EvaluationSettings | None = None,
    method: str = "scores",
) -> Evaluation:
    """Evaluate one score set on exactly these videos (a catalogue's test split). UserError as `align`."""
    return evaluate_seeds({"0": scores}, videos, settings, method)


def evaluate_seeds(
    scores: Mapping[str, Sequence[VideoScores]],
    videos: Sequence[Video],
    settings: EvaluationSettings | None = None,
    method: str = "scores",
    unscored: Mapping[str, str] | None = None,
) -> Evaluation:
    """Evaluate one method from the score sets of its seeds (seed -> scores).

    `unscored`: videos that could not be scored, and why. They count in no seed; the notes name them.
    """
    settings = settings or EvaluationSettings()
    if not scores:
        raise UserError(f"{method}: there are no scores to evaluate")
    left_out = {video.name: unscored[video.name] for video in videos if video.name in unscored} if unscored else {}
    videos = [video for video in videos if video.name not in left_out]
    scores = {seed: [entry for entry in entries if entry.name not in left_out] for seed, entries in scores.items()}
    aligned = {}
    for seed, entries in scores.items():
        try:
            aligned[seed] = align(entries, videos, settings.tail)
        except UserError as error:
            raise UserError(f"{method}, seed {seed}: {error}") from error
    labels = [video.label for video in next(iter(aligned.values())).videos]
    draws = draw_weights(labels, settings.resamples, np.random.default_rng(settings.seed))
    weights = np.concatenate([np.ones((1, len(labels))), draws])
    tables = [weighted_metrics(entry.videos, settings, weights) for entry in aligned.values()]
    stacked = {name: np.stack([table[name] for table in tables]) for name in tables[0]}
    return Evaluation(
        method=method,
        seeds=tuple(scores),
        settings=settings,
        measures={name: measure_of(table, settings) for name, table in stacked.items()},
        videos=tuple(entry.videos for entry in aligned.values()),
        notes=(
            *(f"'{name}' could not be scored and is left out: {reason}" for name, reason in left_out.items()),
            *dict.fromkeys(note for entry in aligned.values() for note in entry.notes),
            *_assumed_fps(videos, settings),
        ),
        samples={name: table[:, 1:] for name, table in stacked.items()},
    )


def _assumed_fps(videos: Sequence[Video], settings: EvaluationSettings) -> list[str]:
    """A note where the seconds of the rule for events are of an assumed frame rate."""
    count = sum(not (video.fps or settings.fps) for video in videos)
    if not count:
        return []
    return [
        f"{count} of {len(videos)} videos: frames per second not known; events are found as if it were "
        f"{FALLBACK_FPS:g} (--fps)"
    ]


def measure_of(table: NDArray[np.float64], settings: EvaluationSettings) -> Measure:
    """`table`: (seeds, 1 + resamples), the value itself first."""
    per_seed = table[:, 0]
    return Measure(
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
    names = [tuple(video.name for video in entry.videos[0]) for entry in (first, second)]
    return differences(first, second, names[0] == names[1] and first.settings == second.settings)


class Evaluated(Protocol):
    """What can be compared: figures, and their values in the same draws of the same videos."""

    @property
    def method(self) -> str: ...
    @property
    def measures(self) -> Mapping[str, Measure]: ...
    @property
    def samples(self) -> Mapping[str, NDArray[np.float64]]: ...
    @property
    def settings(self) -> Any: ...


def differences(first: Evaluated, second: Evaluated, alike: bool) -> dict[str, Difference]:
    """Metric -> `second` less `first`; `alike`: both were evaluated on the same videos and settings. UserError."""
    if not alike:
        raise UserError(f"'{first.method}' and '{second.method}' were not evaluated on the same videos and settings")
    confidence = first.settings.confidence
    return {
        name: Difference(
            second.measures[name].value - measure.value,
            paired(first.samples[name], second.samples[name], confidence) if first.settings.resamples else None,
        )
        for name, measure in first.measures.items()
        if name in second.measures
    }


def title_of(metric: str) -> str:
    """`recall_at_fpr_0.1` -> `recall at FPR 0.1`, `class_auc/Abuse` -> `AUC of Abuse`."""
    if metric in METRICS:
        return METRICS[metric][0]
    base, separator, parameter = metric.partition("/") if "/" in metric else metric.rpartition("_")
    return f"{METRICS[base][0]} {parameter}" if separator else metric


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
