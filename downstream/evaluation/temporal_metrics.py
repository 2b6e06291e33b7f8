"""Metrics of a test set in which each video counts w times: the point estimate (all ones) and every bootstrap draw.

One path for both, so that an interval cannot belong to another definition than its value. Scores are sorted once.

An AUC is a sum over pairs of videos: `wins[u, v]` = pairs of an anomalous frame of u and a normal frame of v which the
scores put right, ties half. So `w @ wins @ w` over the number of pairs is the AUC of any draw, of any subset of videos,
exactly. Average precision is no such sum; there a draw costs one cumulative sum over the sorted snippets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from downstream.evaluation.ground_truth import LabelledVideo
from downstream.evaluation.settings import EvaluationSettings
from downstream.events.finder import find_events
from downstream.events.matching import count_matches
from downstream.events.rule import FALLBACK_FPS

Floats = NDArray[np.float64]
Values = dict[str, Floats]
"""Metric -> (draws,); NaN where not defined."""


def weighted_metrics(videos: Sequence[LabelledVideo], settings: EvaluationSettings, weights: Floats) -> Values:
    """Every metric, for every row of `weights` (draws, videos). Names and meanings: `evaluate.METRICS`."""
    wins = pair_wins(videos)
    abnormal = np.array([video.label == 1 for video in videos])
    values = {
        "frame_auc": weighted_auc(wins, videos, weights, weights),
        **_precision("frame", videos, settings, weights),
        "abnormal_auc": weighted_auc(wins, videos, weights * abnormal, weights * abnormal),
        **_precision("abnormal", [v for v in videos if v.label == 1], None, weights[:, abnormal]),
        "per_video_auc": _per_video_auc(wins, videos, weights),
        "video_auc": _video_auc(videos, abnormal, weights),
        **_alarms(videos, settings, weights),
        **_events(videos, settings, weights),
    }
    for name in classes_of(videos):
        mine = np.array([name in classes_of([video]) for video in videos])
        values[f"class_auc/{name}"] = weighted_auc(wins, videos, weights * mine, weights * (mine | ~abnormal))
    return values


def classes_of(videos: Sequence[LabelledVideo]) -> list[str]:
    """Class names of the abnormal videos, sorted; `A+B` stands for both."""
    return sorted({name for v in videos if v.label == 1 and v.class_name for name in v.class_name.split("+")})


class Counted(Protocol):
    """What an AUC is of: scores, and how much each stands for of either kind (frames, cells, pixels), all (S,)."""

    @property
    def scores(self) -> NDArray[Any]: ...
    @property
    def positive(self) -> NDArray[Any]: ...
    @property
    def negative(self) -> NDArray[Any]: ...


def pair_wins(videos: Sequence[Counted]) -> Floats:
    """(videos, videos): pairs (anomalous frame of u, normal frame of v) in which u's scores higher; ties half.

    Anomalous entries are few: each video's normal ones are sorted, and all anomalous ones find their place among them.
    """
    scores = np.concatenate([video.scores for video in videos])
    first = np.concatenate([[0], np.cumsum([len(video.scores) for video in videos])])
    _, rank = np.unique(scores, return_inverse=True)  # equal scores, equal ranks
    positive = np.concatenate([video.positive for video in videos]).astype(np.float64)
    chosen = np.flatnonzero(positive)
    owner = np.searchsorted(first, chosen, side="right") - 1
    wins = np.zeros((len(videos), len(videos)))
    for v, video in enumerate(videos):
        own = rank[first[v] : first[v + 1]]
        order = np.argsort(own, kind="stable")
        before = np.concatenate([[0.0], np.cumsum(np.asarray(video.negative, np.float64)[order])])
        lower, not_higher = (before[np.searchsorted(own[order], rank[chosen], side=side)] for side in ("left", "right"))
        beaten = (lower + not_higher) / 2
        wins[:, v] = np.bincount(owner, weights=positive[chosen] * beaten, minlength=len(videos))
    return wins


def weighted_auc(wins: Floats, videos: Sequence[Counted], rows: Floats, columns: Floats) -> Floats:
    """Anomalous frames counted by `rows`, normal ones by `columns`, both (draws, videos)."""
    positive = rows @ np.array([video.positive.sum() for video in videos], np.float64)
    negative = columns @ np.array([video.negative.sum() for video in videos], np.float64)
    return ratio(((rows @ wins) * columns).sum(axis=1), positive * negative)


def _per_video_auc(wins: Floats, videos: Sequence[LabelledVideo], weights: Floats) -> Floats:
    pairs = np.array([float(video.positive.sum() * video.negative.sum()) for video in videos])
    both = pairs > 0
    own = np.diag(wins)[both] / pairs[both]
    return ratio(weights[:, both] @ own, weights[:, both].sum(axis=1))


def _video_auc(videos: Sequence[LabelledVideo], abnormal: NDArray[np.bool_], weights: Floats) -> Floats:
    top = np.array([video.scores.max() for video in videos])
    wins = (top[abnormal, None] > top[~abnormal]) + 0.5 * (top[abnormal, None] == top[~abnormal])
    mine, others = weights[:, abnormal], weights[:, ~abnormal]
    return ratio(((mine @ wins) * others).sum(axis=1), mine.sum(axis=1) * others.sum(axis=1))


def _precision(
    prefix: str, videos: Sequence[LabelledVideo], settings: EvaluationSettings | None, weights: Floats
) -> Values:
    """Both average precisions, and recall at the settings' false-positive rates."""
    rates = settings.max_fpr if settings else ()
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


def _alarms(videos: Sequence[LabelledVideo], settings: EvaluationSettings, weights: Floats) -> Values:
    """On normal videos: share of frames at or over the threshold; events per hour, where all frame rates are known."""
    normal = np.array([video.label == 0 for video in videos])
    chosen = [video for video in videos if video.label == 0]
    weights = weights[:, normal]
    frames = np.array([float(video.frames) for video in chosen])
    over = np.array([float(video.negative[video.scores >= settings.threshold].sum()) for video in chosen])
    values = {"false_alarm_rate": ratio(weights @ over, weights @ frames)}
    fps = [video.fps or settings.fps for video in chosen]
    if chosen and all(fps):
        hours = frames / np.array(fps, np.float64) / 3600
        alarms = np.array([float(len(events_of(video, settings))) for video in chosen])
        values["false_alarms_per_hour"] = ratio(weights @ alarms, weights @ hours)
    return values


def events_of(video: LabelledVideo, settings: EvaluationSettings) -> list[tuple[int, int]]:
    """The events that the settings make of a video's scores, half-open frames: the alarms an operator would get."""
    fps = video.fps or settings.fps or FALLBACK_FPS
    return [(event.start, event.end) for event in find_events(video, settings.rule(), fps)]


def _events(videos: Sequence[LabelledVideo], settings: EvaluationSettings, weights: Floats) -> Values:
    """Precision, recall and F1 of events, counted over all videos."""
    events = [events_of(video, settings) for video in videos]
    predicted = weights @ np.array([float(len(found)) for found in events])
    annotated = weights @ np.array([float(len(video.spans)) for video in videos])
    values = {}
    for iou in settings.iou:
        matches = [float(count_matches(found, v.spans, iou)) for found, v in zip(events, videos, strict=True)]
        hits = weights @ np.array(matches)
        values[f"event_f1_iou_{iou:g}"] = ratio(2 * hits, predicted + annotated)
        values[f"event_precision_iou_{iou:g}"] = ratio(hits, predicted)
        values[f"event_recall_iou_{iou:g}"] = ratio(hits, annotated)
    return values


def ratio(over: Floats, under: Floats) -> Floats:
    """NaN where the denominator is 0."""
    return np.divide(over, under, out=np.full(len(over), np.nan), where=under > 0)
