"""Figures of score maps and predicted boxes, for a test set in which each video counts w times.

One path for the value (all ones) and every bootstrap draw, as in `evaluation.weighted`. Which frames and pixels count:
`truth`. Pixels that the detector never looked at take part in pixel figures as scored below everything, and a box
outside the part seen is missed by pointing and by its chance alike. A figure over frames is a sum over videos of
weighted sums, divided once.

The hottest cell of a tie is not picked: each tied cell counts its share, so a constant map points exactly as well as a
cell drawn at random.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from downstream.evaluation.ground_truth import TAIL_RULES
from downstream.evaluation.spatial_truth import Annotated, LocatedVideo
from downstream.evaluation.temporal_metrics import Values, pair_wins, ratio, weighted_auc
from downstream.scores.cell_geometry import PixelBox, centres_in, iou
from pretrain.errors import UserError, nearest

Floats = NDArray[np.float64]
MEASURES = {
    "pixel_auc": ("pixel AUC", "all pixels of all frames on one ROC curve; unseen ones score lowest"),
    "pixel_auc_abnormal": ("pixel AUC, abnormal videos", "pixels of abnormal videos alone"),
    "cell_auc": ("cell AUC", "a cell is anomalous in a frame where a box touches it"),
    "cell_auc_abnormal": ("cell AUC, abnormal videos", "cells of abnormal videos alone"),
    "pointing": ("pointing", "share of annotated frames whose hottest cell has its centre in a box"),
    "pointing_chance": ("pointing by chance", "the same of a cell drawn at random"),
    "pointing_per_video": ("pointing per video", "pointing inside each video, averaged over videos"),
    "mean_iou": ("mean IoU", "best predicted box and the annotated box it meets most; 0 without a prediction"),
    "tiou": ("TIoU", "mean IoU of the annotated frames that score at least the threshold"),
    "tiou_frames": ("frames of TIoU", "the share of annotated frames that do"),
    "recall_iou": ("box recall at IoU", "share of annotated boxes that some predicted box meets so closely"),
}
"""Figure (without its parameter) -> title and what it is."""


class Scored(Protocol):
    """A predicted box; `downstream.events.boxes.ScoredBox` is one."""

    @property
    def box(self) -> PixelBox: ...
    @property
    def score(self) -> float: ...


Predicted = Sequence[Sequence[Scored]]
"""Of one video: a list of boxes for every snippet, best first."""


@dataclass(frozen=True, kw_only=True)
class LocalisationSettings:
    """Rules, overlaps and the bootstrap."""

    tail: str = "hold"
    """Frames past the last snippet: hold (they take its scores) or drop (they do not count)."""
    iou: tuple[float, ...] = (0.1, 0.3, 0.5)
    """Overlaps from which on an annotated box counts as found."""
    tiou_score: float = 0.5
    """TIoU counts frames whose highest cell scores at least this."""
    resamples: int = 1000
    """Bootstrap draws of videos; 0 leaves intervals out."""
    confidence: float = 0.95
    """Of the intervals."""
    seed: int = 0
    """Of the bootstrap."""

    def __post_init__(self) -> None:
        limits = {
            "tail": (self.tail, self.tail in TAIL_RULES, f"one of {', '.join(TAIL_RULES)}"),
            "iou": (self.iou, all(0 < value <= 1 for value in self.iou), "overlaps above 0, at most 1"),
            "tiou_score": (self.tiou_score, math.isfinite(self.tiou_score), "a finite number"),
            "resamples": (self.resamples, self.resamples >= 0, "0 or more"),
            "confidence": (self.confidence, 0 < self.confidence < 1, "between 0 and 1"),
            "seed": (self.seed, self.seed >= 0, "0 or more"),
        }
        for name, (value, fine, limit) in limits.items():
            if not fine:
                hint = nearest(str(value), TAIL_RULES) if name == "tail" else ""
                raise UserError(f"{name} is {value!r}; it must be {limit}{hint}")


def localisation_metrics(
    videos: Sequence[LocatedVideo], boxes: Sequence[Predicted], settings: LocalisationSettings, weights: Floats
) -> Values:
    """Every figure, for every row of `weights` (draws, videos): name -> (draws,); NaN where not defined.

    `boxes`: what was predicted for each video. Names and meanings: `MEASURES`.
    """
    abnormal = np.array([video.label == 1 for video in videos])
    values = {}
    for kind, ranked in (("pixel", [_pixels(v) for v in videos]), ("cell", [_cells(v) for v in videos])):
        wins = pair_wins(ranked)
        values[f"{kind}_auc"] = weighted_auc(wins, ranked, weights, weights)
        values[f"{kind}_auc_abnormal"] = weighted_auc(wins, ranked, weights * abnormal, weights * abnormal)
    sums = [_frame_sums(video, predicted, settings) for video, predicted in zip(videos, boxes, strict=True)]
    return values | _shares(sums, settings, weights)


def title_of(measure: str) -> str:
    """`pixel_auc` -> `pixel AUC`, `recall_iou_0.3` -> `box recall at IoU 0.3`."""
    if measure in MEASURES:
        return MEASURES[measure][0]
    base, _, parameter = measure.rpartition("_")
    return f"{MEASURES[base][0]} {parameter}"


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
    overlap = iou(np.concatenate([frame.boxes for frame in frames]), [entry.box for entry in predicted])
    begins = np.append(0, np.cumsum(counts)[:-1])
    return np.maximum.reduceat(overlap[:, 0], begins), overlap.max(axis=1)


def _shares(sums: Sequence[_FrameSums], settings: LocalisationSettings, weights: Floats) -> Values:
    def total(name: str) -> Floats:
        return np.asarray(weights @ np.array([getattr(entry, name) for entry in sums], np.float64), np.float64)

    frames, boxes, met = total("frames"), total("boxes"), total("met")
    own = [entry.hits / entry.frames if entry.frames else 0.0 for entry in sums]
    held = np.array([float(entry.frames > 0) for entry in sums])
    return {
        "pointing": ratio(total("hits"), frames),
        "pointing_chance": ratio(total("chance"), frames),
        "pointing_per_video": ratio(weights @ np.array(own), weights @ held),
        "mean_iou": ratio(total("overlap"), frames),
        "tiou": ratio(total("firm_overlap"), total("firm_frames")),
        "tiou_frames": ratio(total("firm_frames"), frames),
        **{f"recall_iou_{value:g}": ratio(met[:, i], boxes) for i, value in enumerate(settings.iou)},
    }
