"""Metrics of score maps and predicted boxes, of a test set in which each video counts w times.

One path for the value (all ones) and every bootstrap draw, as in `temporal_metrics`; `metrics.METRICS` names them all.
Which frames and pixels count: `spatial_truth`. Pixels that the detector never looked at take part in pixel metrics as
scored below everything, and a box outside the part seen is missed by pointing and by its chance alike. A metric over
frames is a sum over videos of weighted sums, divided once.

The hottest cell of a tie is not picked: each tied cell counts its share, so a constant map points exactly as well as a
cell drawn at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from downstream.evaluation.settings import LocalisationSettings
from downstream.evaluation.spatial_truth import Annotated, LocatedVideo
from downstream.evaluation.weighted_auc import Floats, Values, pair_wins, ratio, weighted_auc
from downstream.scores.cell_geometry import PixelBox, centres_in, iou


class Scored(Protocol):
    """A predicted box; `downstream.events.boxes.ScoredBox` is one."""

    @property
    def box(self) -> PixelBox: ...
    @property
    def score(self) -> float: ...


Predicted = Sequence[Sequence[Scored]]
"""Of one video: a list of boxes for every snippet, best first."""


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightedMaps:
    """A test set in which videos count a number of times: what the metrics here are of."""

    videos: Sequence[LocatedVideo]
    boxes: Sequence[Predicted]
    """Of each video, what was predicted."""
    settings: LocalisationSettings
    weights: Floats
    """(draws, videos)"""


def pixel_aucs(test: WeightedMaps) -> Values:
    """Pixels on one ROC curve: of all videos, and of abnormal ones alone."""
    return _aucs("pixel_auc", [_pixels(video) for video in test.videos], test)


def cell_aucs(test: WeightedMaps) -> Values:
    """The same of cells."""
    return _aucs("cell_auc", [_cells(video) for video in test.videos], test)


def _aucs(name: str, ranked: Sequence[_Ranked], test: WeightedMaps) -> Values:
    wins = pair_wins(ranked)
    weights = test.weights * np.array([video.label == 1 for video in test.videos])
    return {
        name: weighted_auc(wins, ranked, test.weights, test.weights),
        f"{name}_abnormal": weighted_auc(wins, ranked, weights, weights),
    }


def annotated_frames(test: WeightedMaps) -> Values:
    """Pointing, its chance, and overlaps of boxes, over the annotated frames."""
    settings, weights = test.settings, test.weights
    sums = [_frame_sums(video, boxes, settings) for video, boxes in zip(test.videos, test.boxes, strict=True)]

    def total(name: str) -> Floats:
        return np.asarray(weights @ np.array([getattr(own, name) for own in sums], np.float64), np.float64)

    frames, boxes, met = total("frames"), total("boxes"), total("met")
    pointing = [own.hits / own.frames if own.frames else 0.0 for own in sums]
    held = np.array([float(own.frames > 0) for own in sums])
    return {
        "pointing": ratio(total("hits"), frames),
        "pointing_chance": ratio(total("chance"), frames),
        "pointing_per_video": ratio(weights @ np.array(pointing), weights @ held),
        "mean_iou": ratio(total("overlap"), frames),
        "tiou": ratio(total("firm_overlap"), total("firm_frames")),
        "tiou_frames": ratio(total("firm_frames"), frames),
        **{f"recall_iou_{value:g}": ratio(met[:, i], boxes) for i, value in enumerate(settings.iou)},
    }


class _Ranked(NamedTuple):
    """What AUCs need of one video, flat."""

    scores: Floats
    positive: Floats
    negative: Floats


def _pixels(video: LocatedVideo) -> _Ranked:
    return _Ranked(
        np.append(video.scores.ravel().astype(np.float64), np.full(len(video.scores), -np.inf)),
        np.append(video.positive.ravel(), video.unseen_positive),
        np.append(video.negative.ravel(), video.unseen_negative),
    )


def _cells(video: LocatedVideo) -> _Ranked:
    return _Ranked(
        video.scores.ravel().astype(np.float64),
        video.cell_positive.ravel().astype(np.float64),
        video.cell_negative.ravel().astype(np.float64),
    )


@dataclass(slots=True)
class _FrameSums:
    """Sums over the annotated frames of one video."""

    frames: float = 0.0
    hits: float = 0.0
    chance: float = 0.0
    overlap: float = 0.0
    firm_frames: float = 0.0
    firm_overlap: float = 0.0
    boxes: float = 0.0
    met: Floats | float = 0.0
    """(overlaps asked for,): annotated boxes found."""


def _frame_sums(video: LocatedVideo, predicted: Predicted, settings: LocalisationSettings) -> _FrameSums:
    rows, columns = video.map.edges()
    sums = _FrameSums(met=np.zeros(len(settings.iou)))
    for snippet, frames in _by_snippet(video.annotated).items():
        cells = video.scores[snippet]
        hottest = cells == cells.max()
        inside = np.array([centres_in(frame.boxes, rows, columns) for frame in frames])
        best, closest = _overlaps(frames, predicted[snippet])
        sums.frames += len(frames)
        sums.hits += float((inside & hottest).sum()) / float(hottest.sum())
        sums.chance += float(inside.sum()) / cells.size
        sums.overlap += float(best.sum())
        if cells.max() >= settings.tiou_score:
            sums.firm_frames += len(frames)
            sums.firm_overlap += float(best.sum())
        sums.boxes += len(closest)
        sums.met += (closest[:, None] >= np.array(settings.iou)).sum(axis=0)
    return sums


def _by_snippet(annotated: Sequence[Annotated]) -> dict[int, list[Annotated]]:
    groups: dict[int, list[Annotated]] = {}
    for frame in annotated:
        groups.setdefault(frame.snippet, []).append(frame)
    return groups


def _overlaps(frames: Sequence[Annotated], predicted: Sequence[Scored]) -> tuple[Floats, Floats]:
    """Of each frame, the best predicted box's IoU; of each annotated box, the highest IoU of any predicted one."""
    counts = [len(frame.boxes) for frame in frames]
    if not predicted:
        return np.zeros(len(frames)), np.zeros(sum(counts))
    overlap = iou(np.concatenate([frame.boxes for frame in frames]), [box.box for box in predicted])
    begins = np.append(0, np.cumsum(counts)[:-1])
    return np.maximum.reduceat(overlap[:, 0], begins), overlap.max(axis=1)
