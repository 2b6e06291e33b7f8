"""Metrics of scores of frames, of a test set in which each video counts w times: the value (all ones) and every draw.

One path for both, so that an interval cannot belong to another definition than its value. Each function gives the
metrics that share its work; `metrics.METRICS` names them all. AUCs are sums over pairs of videos (`weighted_auc`).
Average precision is no such sum: scores are sorted once, and a draw costs one cumulative sum over the sorted snippets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from downstream.evaluation.ground_truth import LabelledVideo
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.weighted_auc import Floats, Values, pair_wins, ratio, weighted_auc
from downstream.events.alarm_sweep import AlarmSweep
from downstream.events.finder import find_events
from downstream.events.matching import count_matches
from downstream.events.rule import FALLBACK_FPS
from pretrain.data.video import clock_of


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightedVideos:
    """A test set in which videos count a number of times: what the metrics here are of."""

    videos: Sequence[LabelledVideo]
    settings: EvaluationSettings
    weights: Floats
    """(draws, videos)"""
    sweep: AlarmSweep | None = None
    """Of the same videos, see `operating_curve.sweep_of`; None: nothing is said of false alarms at other thresholds."""

    @cached_property
    def wins(self) -> Floats:
        """(videos, videos): see `pair_wins`."""
        return pair_wins(self.videos)

    @cached_property
    def abnormal(self) -> NDArray[np.bool_]:
        """(videos,)"""
        return np.array([video.label == 1 for video in self.videos])

    @cached_property
    def events(self) -> list[list[tuple[int, int]]]:
        """Of each video, see `events_of`."""
        return [events_of(video, self.settings) for video in self.videos]

    def auc(self, rows: Floats, columns: Floats) -> Floats:
        """Anomalous frames counted by `rows`, normal ones by `columns`, both (draws, videos)."""
        return weighted_auc(self.wins, self.videos, rows, columns)


def frame_auc(test: WeightedVideos) -> Values:
    """All frames of all videos on one ROC curve."""
    return {"frame_auc": test.auc(test.weights, test.weights)}


def frame_precision(test: WeightedVideos) -> Values:
    """Both average precisions of all frames, and recall at the settings' false-positive rates."""
    return _precision("frame", test.videos, test.weights, test.settings.max_fpr)


def abnormal_auc(test: WeightedVideos) -> Values:
    """Frames of abnormal videos alone on one ROC curve."""
    weights = test.weights * test.abnormal
    return {"abnormal_auc": test.auc(weights, weights)}


def abnormal_precision(test: WeightedVideos) -> Values:
    """Both average precisions of the frames of abnormal videos alone."""
    videos = [video for video in test.videos if video.label == 1]
    return _precision("abnormal", videos, test.weights[:, test.abnormal], ())


def per_video_auc(test: WeightedVideos) -> Values:
    """AUC inside each video that holds both kinds of frames, averaged."""
    pairs = np.array([float(video.positive.sum() * video.negative.sum()) for video in test.videos])
    both = pairs > 0
    own = np.diag(test.wins)[both] / pairs[both]
    weights = test.weights[:, both]
    return {"per_video_auc": ratio(weights @ own, weights.sum(axis=1))}


def video_auc(test: WeightedVideos) -> Values:
    """The highest score of each video against its label."""
    top, abnormal = np.array([video.scores.max() for video in test.videos]), test.abnormal
    wins = (top[abnormal, None] > top[~abnormal]) + 0.5 * (top[abnormal, None] == top[~abnormal])
    mine, others = test.weights[:, abnormal], test.weights[:, ~abnormal]
    return {"video_auc": ratio(((mine @ wins) * others).sum(axis=1), mine.sum(axis=1) * others.sum(axis=1))}


def false_alarms(test: WeightedVideos) -> Values:
    """On normal videos: share of frames at or over the threshold; events per hour, where all frame rates are known."""
    settings, weights = test.settings, test.weights[:, ~test.abnormal]
    normal = [video for video in test.videos if video.label == 0]
    counts = [len(events) for video, events in zip(test.videos, test.events, strict=True) if video.label == 0]
    frames = np.array([float(video.frames) for video in normal])
    over = np.array([float(video.negative[video.scores >= settings.threshold].sum()) for video in normal])
    values = {"false_alarm_rate": ratio(weights @ over, weights @ frames)}
    clocks = [clock_of(clock) for video in normal if (clock := video.clock or settings.fps)]
    if normal and len(clocks) == len(normal):
        hours = np.array([clock.seen(0, v.frames) for clock, v in zip(clocks, normal, strict=True)]) / 3600
        values["false_alarms_per_hour"] = ratio(weights @ np.array(counts, np.float64), weights @ hours)
    return values


def found_at_alarms(test: WeightedVideos) -> Values:
    """Share of annotated anomalies found, at the settings' false alarms per hour: see `operating_curve`."""
    if test.sweep is None:
        return {}
    rates = test.settings.max_alarms_per_hour
    shares = test.sweep.found_shares(test.weights, np.array(rates, np.float64))
    return {f"found_at_alarms_{rate:g}": own for rate, own in zip(rates, shares.T, strict=True)}


def event_matches(test: WeightedVideos) -> Values:
    """F1, precision and recall of events, counted over all videos, at each overlap of the settings."""
    predicted = test.weights @ np.array([float(len(spans)) for spans in test.events])
    annotated = test.weights @ np.array([float(len(video.spans)) for video in test.videos])
    values = {}
    for iou in test.settings.iou:
        matches = [float(count_matches(spans, v.spans, iou)) for spans, v in zip(test.events, test.videos, strict=True)]
        hits = test.weights @ np.array(matches)
        values[f"event_f1_iou_{iou:g}"] = ratio(2 * hits, predicted + annotated)
        values[f"event_precision_iou_{iou:g}"] = ratio(hits, predicted)
        values[f"event_recall_iou_{iou:g}"] = ratio(hits, annotated)
    return values


def class_aucs(test: WeightedVideos) -> Values:
    """Anomalous frames of each class against its own and all normal videos' normal frames."""
    values = {}
    for name in classes_of(test.videos):
        mine = np.array([name in classes_of([video]) for video in test.videos])
        values[f"class_auc/{name}"] = test.auc(test.weights * mine, test.weights * (mine | ~test.abnormal))
    return values


def classes_of(videos: Sequence[LabelledVideo]) -> list[str]:
    """Class names of the abnormal videos, sorted; `A+B` stands for both."""
    return sorted({name for v in videos if v.label == 1 and v.class_name for name in v.class_name.split("+")})


def events_of(video: LabelledVideo, settings: EvaluationSettings) -> list[tuple[int, int]]:
    """The events that the settings make of a video's scores, half-open frames: the alarms an operator would get.

    But that a last snippet ends where the tail rule says, and that seconds are of the catalogue's frame rate where the
    video's file is not there to say its frames' times.
    """
    clock = video.clock or settings.fps or FALLBACK_FPS
    return [(event.start, event.end) for event in find_events(video, settings.rule(), clock)]


def _precision(prefix: str, videos: Sequence[LabelledVideo], weights: Floats, rates: Sequence[float]) -> Values:
    """Both average precisions, and recall at these false-positive rates."""
    names = [f"{prefix}_ap", f"{prefix}_ap_trapezoid", *(f"recall_at_fpr_{rate:g}" for rate in rates)]
    if not videos:
        return {name: np.full(len(weights), np.nan) for name in names}
    ranked = Ranked(videos)
    table = np.array([ranked.values(row, rates) for row in weights]).reshape(len(weights), len(names))
    return dict(zip(names, table.T, strict=True))


class Ranked:
    """Snippets of many videos, sorted by score once. `stops` are the tied groups that hold an anomalous frame."""

    def __init__(self, videos: Sequence[LabelledVideo]) -> None:
        owner = np.repeat(np.arange(len(videos)), [len(video.scores) for video in videos])
        scores = np.concatenate([video.scores for video in videos])
        order = np.argsort(-scores, kind="stable")
        scores, self._owner = scores[order], owner[order]
        positive = np.concatenate([video.positive for video in videos])[order].astype(np.float64)
        self._negative = np.concatenate([video.negative for video in videos])[order].astype(np.float64)
        begins = np.append(0, np.flatnonzero(np.diff(scores)) + 1)
        self._ends = np.append(begins[1:], len(scores))
        group = np.repeat(np.arange(len(begins)), self._ends - begins)
        held = np.flatnonzero(positive)
        self._stops, self._stop_of = np.unique(group[held], return_inverse=True)
        self._positive, self._positive_owner = positive[held], self._owner[held]
        self._stop_begins, self._stop_ends = begins[self._stops], self._ends[self._stops]
        self._before = np.zeros(len(scores) + 1)

    def values(self, weights: Floats, rates: Sequence[float]) -> list[float]:
        """Step-wise and trapezoid average precision, and recall at each rate, of videos that count `weights` times."""
        counted = self._positive * weights[self._positive_owner]
        gained = np.bincount(self._stop_of, counted, minlength=len(self._stops)).astype(np.float64)
        tp: Floats = np.cumsum(gained, dtype=np.float64)
        np.cumsum(self._negative * weights[self._owner], out=self._before[1:])
        total_positive, total_negative = (float(tp[-1]) if len(tp) else 0.0), float(self._before[-1])
        if not total_positive or not total_negative:
            return [np.nan] * (2 + len(rates))
        at = _precision_of(tp, self._before[self._stop_ends])
        just_above = _precision_of(tp - gained, self._before[self._stop_begins])
        step = float((gained * at).sum()) / total_positive
        trapezoid = float((gained * (at + just_above)).sum()) / 2 / total_positive
        return [step, trapezoid, *(self._recall(tp, rate * total_negative * (1 + 1e-12)) for rate in rates)]

    def _recall(self, tp: Floats, max_false: float) -> float:
        """Recall at the last threshold with at most `max_false` normal frames over it."""
        snippets = int(np.searchsorted(self._before, max_false, side="right")) - 1
        groups = int(np.searchsorted(self._ends, snippets, side="right"))
        stops = int(np.searchsorted(self._stops, groups))
        return float(tp[stops - 1] / tp[-1]) if stops else 0.0


def _precision_of(tp: Floats, fp: Floats) -> Floats:
    """1 where nothing is over the threshold yet."""
    total = tp + fp
    return np.divide(tp, total, out=np.ones_like(tp), where=total > 0)
