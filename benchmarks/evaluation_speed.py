"""Evaluation by weighted snippets against lists of frames, on a simulated test set of UCF-Crime's size.

Called by benchmarks/mil_training.py. The plain way is what public code does: every snippet's score repeated 16 times
into a list of frames, frame labels in a list, scikit-learn's `roc_curve`, `auc`, `precision_recall_curve` and
`average_precision_score`. Where scikit-learn is not installed its algorithm stands in (one stable sort of all frames,
thresholds at distinct scores, each curve sorted anew as there) without its input checks: `against` says which.
Both ways go from snippet scores and annotated spans to frame AUC, step-wise AP and trapezoid AP.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downstream.evaluation.curves import (
    area_under_pr,
    area_under_roc,
    operating_points,
    step_average_precision,
)
from downstream.evaluation.ground_truth import align
from downstream.scores.video_scores import VideoScores
from pretrain.data.catalogue import Video

SNIPPET_FRAMES = 16


def simulated_test_set(
    videos: int = 290, frames: int = 1_112_000, seed: int = 0
) -> tuple[list[VideoScores], list[Video]]:
    """Scores and ground truth of about so many frames in videos of very different lengths, 7 % of them anomalous."""
    rng = np.random.default_rng(seed)
    lengths = rng.lognormal(0, 1, videos)
    lengths = np.maximum(64, lengths / lengths.sum() * frames).astype(int)
    scores, catalogue = [], []
    for number, length in enumerate(map(int, lengths)):
        label = int(number < videos * 140 // 290)
        start = int(rng.integers(0, length // 2))
        spans = ((start, start + max(1, length // 7)),) if label else ()
        snippets = -(-length // SNIPPET_FRAMES)
        values = np.clip(rng.beta(2, 5, snippets) + 0.2 * label, 0, 1)
        name = f"video{number:04d}"
        scores.append(VideoScores(name, values, np.arange(snippets + 1) * SNIPPET_FRAMES))
        catalogue.append(Video(name, "", label, "test", None, None, spans, (), length))
    return scores, catalogue


def by_snippets(scores: list[VideoScores], videos: list[Video]) -> tuple[float, float, float]:
    """Ours: frame AUC, AP, trapezoid AP, with every check of names and lengths."""
    aligned = align(scores, videos).videos
    points = operating_points(
        np.concatenate([video.scores for video in aligned]),
        np.concatenate([video.positive for video in aligned]),
        np.concatenate([video.negative for video in aligned]),
    )
    return area_under_roc(points), step_average_precision(points), area_under_pr(points)


def by_frames(scores: list[VideoScores], videos: list[Video]) -> tuple[float, float, float]:
    """Lists of frames, as public code has them."""
    labels: list[float] = []
    predicted: list[float] = []
    for entry, video in zip(scores, videos, strict=True):
        length = video.num_frames or entry.covered_frames
        truth = np.zeros(length)
        for start, end in video.spans:
            truth[start:end] = 1
        labels.extend(list(truth))
        predicted.extend(list(np.repeat(entry.scores, SNIPPET_FRAMES)[:length]))
    metrics = scikit_learn()
    return metrics(labels, predicted) if metrics else plain_metrics(labels, predicted)


def scikit_learn() -> Callable[[list[float], list[float]], tuple[float, float, float]] | None:
    """The three figures by scikit-learn; None where it is not installed."""
    try:
        from sklearn import metrics  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return None

    def figures(labels: list[float], predicted: list[float]) -> tuple[float, float, float]:
        false_rate, true_rate, _ = metrics.roc_curve(labels, predicted)
        precision, recall, _ = metrics.precision_recall_curve(labels, predicted)
        step = metrics.average_precision_score(labels, predicted)
        return float(metrics.auc(false_rate, true_rate)), float(step), float(metrics.auc(recall, precision))

    return figures


def plain_metrics(labels: list[float], predicted: list[float]) -> tuple[float, float, float]:
    """scikit-learn's way: each of its three curve functions converts, sorts and cumulates all frames by itself."""
    tp, fp = _curve(labels, predicted)
    true_rate, false_rate = np.append(0, tp) / tp[-1], np.append(0, fp) / fp[-1]
    roc = float(np.trapezoid(true_rate, false_rate)) if hasattr(np, "trapezoid") else _area(true_rate, false_rate)
    tp, fp = _curve(labels, predicted)
    precision, recall = np.append(1, tp / (tp + fp)), np.append(0, tp / tp[-1])
    trapezoid = _area(precision, recall)
    tp, fp = _curve(labels, predicted)
    step = float((np.diff(tp / tp[-1], prepend=0) * (tp / (tp + fp))).sum())
    return roc, step, trapezoid


def _curve(labels: list[float], predicted: list[float]) -> tuple[NDArray[Any], NDArray[Any]]:
    truth, scores = np.asarray(labels), np.asarray(predicted)
    order = np.argsort(scores, kind="mergesort")[::-1]
    truth, scores = truth[order], scores[order]
    ends = np.append(np.flatnonzero(np.diff(scores)), len(truth) - 1)
    tp = np.cumsum(truth)[ends]
    return tp, 1 + ends - tp


def _area(y: NDArray[Any], x: NDArray[Any]) -> float:
    return float((np.diff(x) * (y[1:] + y[:-1])).sum() / 2)


def compare(videos: int = 290, frames: int = 1_112_000, repeats: int = 5) -> dict[str, Any]:
    """Best of `repeats` of each way, alternating: `eval_ratio`, `eval_max_diff`, milliseconds, and what stood in."""
    scores, catalogue = simulated_test_set(videos, frames)
    seconds: dict[str, list[float]] = {"snippets": [], "frames": []}
    values: dict[str, tuple[float, float, float]] = {}
    for _ in range(repeats):
        for name, way in (("snippets", by_snippets), ("frames", by_frames)):
            started = time.perf_counter()
            values[name] = way(scores, catalogue)
            seconds[name].append(time.perf_counter() - started)
    ours, plain = min(seconds["snippets"]), min(seconds["frames"])
    return {
        "eval_ratio": plain / ours,
        "eval_max_diff": max(abs(a - b) for a, b in zip(values["snippets"], values["frames"], strict=True)),
        "eval_ms": 1000 * ours,
        "eval_plain_ms": 1000 * plain,
        "against": "scikit-learn" if scikit_learn() else "scikit-learn's algorithm in numpy (not installed)",
    }
