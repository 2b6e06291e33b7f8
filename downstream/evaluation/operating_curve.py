"""What an operator gets for false alarms: the share of annotated anomalies found, over false alarms per hour.

For each threshold the project's one rule for events (`events.rule`, with the evaluation's least length, merging, and
distance of the release in log odds) makes events of every video's scores. An annotated anomaly is found if an event
holds at least one of its frames (an IoU above 0: no overlap is asked for); an event that holds no anomalous frame is a
false alarm; hours are those of all frames of all videos.

A rate is kept at a threshold if it is kept at every higher score as well, as in calibration: at a low enough threshold
every video is one long event, which finds everything, counts as few false alarms, and is no use to anybody. So more
false alarms never find less, and the curve is a staircase: at a rate it has the value of the last corner up to it.
Free-response ROC curves (Bunch et al., 1977) are its like, with time in the place of images. [ours: the rule of events,
the guard of higher thresholds]
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downstream.evaluation.bootstrap import Interval, draw_weights, interval
from downstream.evaluation.ground_truth import LabelledVideo
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.temporal_metrics import events_of
from downstream.events.alarm_sweep import AlarmSweep, sweep_thresholds
from downstream.events.matching import count_touches
from pretrain.json_shapes import either, every, null, number, of_type, record, sequence, whole

MAX_POINTS = 200


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """What a method finds with at most so many false alarms; means over seeds at the same rate."""

    false_alarms_per_hour: float
    found_share: float
    """Of the annotated anomalies, 0 to 1."""
    found: float
    """How many they are."""
    interval: Interval | None
    """Of the share, over draws of videos."""
    thresholds: tuple[float, ...]
    """Of each seed the highest that finds so many, which has the fewest alarms; just above all scores if none is."""

    def as_json(self) -> dict[str, Any]:
        """For `evaluation.json`."""
        low, high = self.interval or (None, None)
        numbers = {"false_alarms_per_hour": self.false_alarms_per_hour, "found_share": self.found_share}
        return numbers | {
            "ci_low": low,
            "ci_high": high,
            "found": self.found,
            "thresholds": list(self.thresholds),
        }


@dataclass(frozen=True, kw_only=True)
class ThresholdPoint:
    """What the evaluation's own threshold does; means over seeds, which have it at different rates.

    So it need not lie on the curve; above it also where a higher threshold has more false alarms, events having run
    together.
    """

    threshold: float
    false_alarms_per_hour: float
    found_share: float
    found: float


@dataclass(frozen=True, kw_only=True)
class OperatingCurve:
    """Anomalies found over false alarms per hour, of one method on one test set."""

    hours: float
    """Of all videos."""
    anomalies: int
    """Annotated ones."""
    points: tuple[OperatingPoint, ...]
    """At most `MAX_POINTS`, rates rising from 0."""
    at_threshold: ThresholdPoint

    def as_json(self) -> dict[str, Any]:
        """For `evaluation.json`; `curve_of_json` reads it."""
        return {
            "hours": self.hours,
            "anomalies": self.anomalies,
            "at_threshold": dataclasses.asdict(self.at_threshold),
            "points": [point.as_json() for point in self.points],
        }


_POINT = record(
    {
        "false_alarms_per_hour": number(0),
        "found_share": number(0, 1),
        "found": number(0),
        "thresholds": sequence(number()),
    }
)
_WITH_INTERVAL = record({"ci_low": number(), "ci_high": number()})
_WITHOUT = record({"ci_low": null, "ci_high": null})
CURVE = record(
    {
        "hours": number(0),
        "anomalies": whole(0),
        "points": sequence(every(_POINT, either(_WITHOUT, _WITH_INTERVAL))),
        "at_threshold": of_type(ThresholdPoint),
    }
)
"""What `OperatingCurve.as_json` writes."""


def curve_of_json(document: Mapping[str, Any]) -> OperatingCurve:
    """What `OperatingCurve.as_json` made this of."""
    points = []
    for point in document["points"]:
        bounds = None if point["ci_low"] is None else Interval(point["ci_low"], point["ci_high"])
        rest = {name: point[name] for name in ("false_alarms_per_hour", "found_share", "found")}
        points.append(OperatingPoint(**rest, interval=bounds, thresholds=tuple(point["thresholds"])))
    at = ThresholdPoint(**document["at_threshold"])
    return OperatingCurve(
        hours=document["hours"], anomalies=document["anomalies"], points=tuple(points), at_threshold=at
    )


def sweep_of(videos: Sequence[LabelledVideo], settings: EvaluationSettings) -> AlarmSweep | None:
    """One seed's scores at every threshold; None where a frame rate is not known or no rate is asked about."""
    known = [(video, clock) for video in videos if (clock := video.clock or settings.fps)]
    if len(known) < len(videos) or not settings.max_alarms_per_hour:
        return None
    seconds = {"min_seconds": settings.min_seconds, "merge_seconds": settings.merge_seconds}
    return sweep_thresholds(known, margin=settings.margin, **seconds)


def operating_curve(
    sweeps: Sequence[AlarmSweep], videos: Sequence[Sequence[LabelledVideo]], settings: EvaluationSettings
) -> OperatingCurve | None:
    """The curve of one method from its seeds: a sweep of each, and its videos, the same ones. None without sweeps.

    Corners are those of all seeds; where there are more than `MAX_POINTS`, rates a like factor apart are kept.
    """
    if not sweeps:
        return None
    hours, anomalies = float(sweeps[0].hours.sum()), len(sweeps[0].found_in)
    counts = _thinned(np.unique(np.concatenate([[0], *(sweep.most_false_alarms() for sweep in sweeps)])))
    rates = counts / hours
    draws = draw_weights([video.label for video in videos[0]], settings.resamples, np.random.default_rng(settings.seed))
    weights = np.concatenate([np.ones((1, len(videos[0]))), draws])
    shares = np.mean([sweep.found_shares(weights, rates) for sweep in sweeps], axis=0)
    return OperatingCurve(
        hours=hours,
        anomalies=anomalies,
        points=tuple(
            OperatingPoint(
                false_alarms_per_hour=float(rate),
                found_share=float(own[0]),
                found=round(float(own[0]) * anomalies, 6),
                interval=interval(own[1:], settings.confidence) if settings.resamples else None,
                thresholds=tuple(sweep.highest_threshold(count) for sweep in sweeps),
            )
            for rate, count, own in zip(rates, counts.tolist(), shares.T, strict=True)
        ),
        at_threshold=_at_threshold(videos, settings, hours, anomalies),
    )


def _thinned(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first, the last, and those between that lie evenly on a scale of logarithms. `counts`: rising from 0."""
    if len(counts) <= MAX_POINTS:
        return counts
    wanted = np.geomspace(counts[1], counts[-1], MAX_POINTS - 1)
    chosen = np.minimum(np.searchsorted(counts, wanted * (1 - 1e-9)), len(counts) - 1)
    return counts[np.unique(np.append(0, chosen))]


def _at_threshold(
    seeds: Sequence[Sequence[LabelledVideo]], settings: EvaluationSettings, hours: float, anomalies: int
) -> ThresholdPoint:
    each = [count_touches(events_of(video, settings), video.spans) for videos in seeds for video in videos]
    found, false = (np.sum(each, axis=0) / len(seeds)).tolist()
    return ThresholdPoint(
        threshold=settings.threshold,
        false_alarms_per_hour=false / hours,
        found_share=found / anomalies,
        found=found,
    )
