"""Slow, obvious references: every frame written out, and sets of videos that hypothesis or a generator made."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from downstream.evaluation.ground_truth import LabelledVideo
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.data.catalogue import Video, merge_spans


def frames_of(scores: object, positive: object, negative: object) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Score and label of every single frame."""
    values, labels = [], []
    for score, ones, zeros in zip(scores, positive, negative, strict=True):  # type: ignore[call-overload]
        values += [score] * int(ones + zeros)
        labels += [1] * int(ones) + [0] * int(zeros)
    return np.array(values, float), np.array(labels, int)


def slow_auc(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Every pair of frames."""
    ones, zeros = scores[labels == 1], scores[labels == 0]
    right = (ones[:, None] > zeros[None]).sum() + 0.5 * (ones[:, None] == zeros[None]).sum()
    return float(right / (len(ones) * len(zeros)))


def slow_points(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> list[tuple[float, float, float]]:
    """(recall, precision, false-positive rate) of each distinct score as a threshold, highest first."""
    points = []
    for threshold in sorted(set(scores.tolist()), reverse=True):
        over = scores >= threshold
        hits = labels[over].sum()
        points.append((hits / labels.sum(), hits / over.sum(), (over.sum() - hits) / (labels == 0).sum()))
    return points


def slow_ap(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    before, area = 0.0, 0.0
    for recall, precision, _ in slow_points(scores, labels):
        area += (recall - before) * precision
        before = recall
    return area


def slow_trapezoid(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    before, height, area = 0.0, 1.0, 0.0
    for recall, precision, _ in slow_points(scores, labels):
        area += (recall - before) * (precision + height) / 2
        before, height = recall, precision
    return area


def slow_recall(scores: NDArray[np.float64], labels: NDArray[np.int64], rate: float) -> float:
    return max([0.0, *(recall for recall, _, fpr in slow_points(scores, labels) if fpr <= rate + 1e-12)])


def random_test_set(
    rng: np.random.Generator, abnormal: int = 4, normal: int = 3
) -> tuple[list[VideoScores], list[Video]]:
    """Small videos with scores of one digit (many ties), lengths off the snippet grid, one to two anomalies each."""
    scores, videos = [], []
    for number in range(abnormal + normal):
        frames = int(rng.integers(20, 70))
        snippets = -(-frames // 8) if rng.random() < 0.5 else frames // 8
        label = int(number < abnormal)
        starts = rng.integers(0, frames - 12, size=int(rng.integers(1, 3))).tolist()
        spans = merge_spans((start, start + int(rng.integers(1, 12))) for start in starts) if label else ()
        name, kind = f"v{number}", ("Fire" if number % 2 else "Fall") if label else "Normal"
        scores.append(VideoScores(name, rng.integers(0, 10, snippets) / 10, np.arange(snippets + 1) * 8))
        videos.append(Video(name, f"{name}.mp4", label, "test", kind, None, spans, (), frames, 25.0))
    return scores, videos


def better(scores: list[VideoScores], videos: list[Video], seed: int) -> list[VideoScores]:
    """The same scores with the anomalies raised."""
    rng = np.random.default_rng(seed)
    raised = []
    for entry, video in zip(scores, videos, strict=True):
        hit = [any(a < end and b > start for start, end in video.spans) for a, b in pairwise(entry.edges)]
        values = 0.4 * entry.scores + 0.5 * np.array(hit) + 0.1 * rng.random(len(hit))
        raised.append(make_scores(entry.name, values, entry.edges))
    return raised


def pooled(videos: list[LabelledVideo]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """All frames of these videos."""
    parts = [frames_of(video.scores, video.positive, video.negative) for video in videos]
    return np.concatenate([values for values, _ in parts]), np.concatenate([labels for _, labels in parts])
