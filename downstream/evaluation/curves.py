"""Frame-level curves and areas, weighted by snippet: exact, and without ever listing frames.

All frames of a snippet have one score, so a snippet with p anomalous and n normal frames is p + n equal entries of the
frame list. Sorting snippets and cumulating p and n gives the very curve that sorting all frames gives, ties included.

Arguments of all: `scores` (S,) finite, `positive` (S,) and `negative` (S,): frames of each snippet, whole numbers >= 0.
Where a class has no frame the value is NaN: it is not defined.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


class OperatingPoints(NamedTuple):
    """Every distinct score as a threshold (a frame is called anomalous at `score >= threshold`), highest first."""

    thresholds: Floats
    """(K,), strictly decreasing."""
    true_positives: Counts
    """(K,): anomalous frames at or over the threshold."""
    false_positives: Counts
    """(K,): normal frames at or over the threshold."""


def operating_points(scores: Floats, positive: Counts, negative: Counts) -> OperatingPoints:
    """One sort; snippets without a frame count for nothing."""
    order = np.argsort(scores)[::-1]
    sorted_scores, positive, negative = scores[order], positive[order], negative[order]
    held = positive + negative > 0
    if not held.all():
        sorted_scores, positive, negative = sorted_scores[held], positive[held], negative[held]
    last_of_ties = np.append(np.flatnonzero(sorted_scores[1:] != sorted_scores[:-1]), len(sorted_scores) - 1)
    if not len(sorted_scores):
        last_of_ties = np.zeros(0, np.int64)
    return OperatingPoints(
        sorted_scores[last_of_ties], np.cumsum(positive)[last_of_ties], np.cumsum(negative)[last_of_ties]
    )


def roc_auc(scores: Floats, positive: Counts, negative: Counts) -> float:
    """Area under the ROC curve: the chance that an anomalous frame scores higher than a normal one, ties half."""
    return area_under_roc(operating_points(scores, positive, negative))


def area_under_roc(points: OperatingPoints) -> float:
    """In whole numbers up to the one division."""
    tp, fp = np.append(0, points.true_positives), np.append(0, points.false_positives)
    total = int(tp[-1]) * int(fp[-1])
    return int((np.diff(fp) * (tp[1:] + tp[:-1])).sum()) / (2 * total) if total else math.nan


def step_average_precision(points: OperatingPoints) -> float:
    """Sum of (R_k - R_(k-1)) * P_k: scikit-learn's `average_precision_score`."""
    tp = points.true_positives
    if not len(tp) or not tp[-1] or not points.false_positives[-1]:
        return math.nan
    return float((np.diff(tp, prepend=0) * (tp / (tp + points.false_positives))).sum() / tp[-1])


def area_under_pr(points: OperatingPoints) -> float:
    """Trapezoids under the precision-recall curve from (0, 1) on: scikit-learn's `auc(recall, precision)`.

    Some of the literature calls this AP; it is optimistic (Davis and Goadrich, 2006). Compare like with like.
    """
    tp = points.true_positives
    if not len(tp) or not tp[-1] or not points.false_positives[-1]:
        return math.nan
    precision = np.append(1.0, tp / (tp + points.false_positives))
    return float((np.diff(tp, prepend=0) * (precision[1:] + precision[:-1])).sum() / 2 / tp[-1])


def roc_curve(points: OperatingPoints) -> tuple[Floats, Floats]:
    """(K + 1,) false-positive rate and (K + 1,) true-positive rate, from (0, 0) to (1, 1)."""
    tp, fp = np.append(0, points.true_positives), np.append(0, points.false_positives)
    return fp / fp[-1], tp / tp[-1]


def pr_curve(points: OperatingPoints) -> tuple[Floats, Floats]:
    """(K + 1,) recall and (K + 1,) precision, from (0, 1) to (1, prevalence)."""
    tp = points.true_positives
    return np.append(0.0, tp / tp[-1]), np.append(1.0, tp / (tp + points.false_positives))
