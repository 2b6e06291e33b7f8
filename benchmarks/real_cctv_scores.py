"""Scores of snippets that need no label: change of whitened features, distance to normal snippets, motion.

`features` here are those of one video, (snippets, dim); higher scores are more anomalous. All are smoothed along time
by a Gaussian of one snippet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.real_cctv_sets import RealTest
from downstream.evaluation.ground_truth import LabelledVideo, align
from downstream.features.store import FeatureSet
from downstream.scores.video_scores import VideoScores
from pretrain.data.catalogue import Catalogue, Video
from pretrain.data.video import probe, stream_frames
from pretrain.files import write_json

Floats = NDArray[np.float64]
Scores = dict[str, Floats]
"""Video name -> (snippets,)."""
SHRINKAGE = 0.1
"""Share of a covariance's diagonal in its shrunk form."""
NEIGHBOURS = 5
PICTURE = (120, 160)
"""Height and width of the frames that motion is measured on."""


class Whitening:
    """Features less their mean, in axes in which those it was made of have unit variance."""

    def __init__(self, features: Sequence[Floats]) -> None:
        rows = np.concatenate(features)
        self.mean = rows.mean(axis=0)
        covariance = np.cov(rows.T)
        shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.diag(np.diag(covariance))
        values, vectors = np.linalg.eigh(shrunk)
        # a number that never changes says nothing, and must not be divided by nothing
        self.matrix = vectors / np.sqrt(np.maximum(values, 1e-9 * values.max()))

    def __call__(self, features: Floats) -> Floats:
        """(snippets, dim) -> the same shape."""
        whitened: Floats = (features - self.mean) @ self.matrix
        return whitened


def smoothed(scores: Floats, sigma: float = 1.0) -> Floats:
    """(snippets,): a Gaussian along time, normalised at both ends."""
    reach = int(np.ceil(3 * sigma))
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    summed = np.convolve(scores, kernel)[reach : reach + len(scores)]
    weights = np.convolve(np.ones(len(scores)), kernel)[reach : reach + len(scores)]
    return np.asarray(summed / weights, np.float64)


def change(features: Floats) -> Floats:
    """(snippets,): the mean distance to the snippet before and the one after; 0 of a single snippet."""
    steps = np.linalg.norm(np.diff(features, axis=0), axis=1)
    sums, counts = np.zeros(len(features)), np.zeros(len(features))
    for part in (slice(1, None), slice(None, -1)):
        sums[part] += steps
        counts[part] += 1
    return np.asarray(sums / np.maximum(counts, 1), np.float64)


def nearest_distance(features: Floats, normal: Floats) -> Floats:
    """(snippets,): mean distance to the `NEIGHBOURS` nearest of `normal` (n, dim)."""
    squared = (features**2).sum(axis=1)[:, None] + (normal**2).sum(axis=1) - 2 * features @ normal.T
    nearest = np.sort(squared, axis=1)[:, :NEIGHBOURS]
    return np.asarray(np.sqrt(np.maximum(nearest, 0)).mean(axis=1), np.float64)


def read_features(features: FeatureSet) -> Scores:
    """Every video's features (snippets, dim), crops averaged."""
    return {name: features.read(name).mean(axis=1, dtype=np.float64) for name in features.videos}


def change_scores(features: Scores, videos: Sequence[Video], learn_from: Sequence[Floats]) -> Scores:
    """Change of features that are whitened by `learn_from`."""
    whiten = Whitening(learn_from)
    return {video.name: smoothed(change(whiten(features[video.name]))) for video in videos}


def left_out_change_scores(features: Scores, videos: Catalogue, parts: Sequence[set[str]]) -> Scores:
    """As `change_scores`; each fold's videos by what the other folds' videos give."""
    scores: Scores = {}
    for held_out in parts:
        others = [features[video.name] for video in videos if video.group not in held_out]
        own = [video for video in videos if video.group in held_out]
        scores |= change_scores(features, own, others)
    return scores


def normality_scores(features: Scores, videos: Catalogue) -> Scores:
    """Of the test split: distance to the snippets of the training split, which is normal."""
    learnt = [features[video.name] for video in videos.subset("train")]
    whiten = Whitening(learnt)
    normal = whiten(np.concatenate(learnt))
    test = videos.subset("test")
    return {video.name: smoothed(nearest_distance(whiten(features[video.name]), normal)) for video in test}


def motion_of(path: str) -> Floats:
    """(frames,): mean absolute difference of each frame and the one before, in grey levels; of the first, the next's.

    Pictures are scaled to `PICTURE`.
    """
    count = probe(path).num_frames
    values, last = [], None
    for _, picture in stream_frames(path, np.arange(count), size=PICTURE):
        grey = picture.astype(np.float32).mean(axis=2)
        values.append(0.0 if last is None else float(np.abs(grey - last).mean()))
        last = grey
    return np.array([*values[1:2], *values[1:]] if count > 1 else values)


def cached_motion(test: RealTest, file: Path) -> Scores:
    """`motion_of` the test's videos; what is in the file already is not measured again."""
    known: dict[str, list[float]] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    missing = [video for video in test.videos if video.name not in known and video.split == "test"]
    for video in missing:
        known[video.name] = [round(value, 4) for value in motion_of(video.path)]
    if missing:
        write_json(file, known)
    return {name: np.array(values) for name, values in known.items()}


def motion_scores(motion: Mapping[str, Floats], videos: Sequence[Video], snippet_frames: int) -> tuple[Scores, Scores]:
    """Motion energy of each snippet, and its acceleration: the mean absolute change from frame to frame."""
    energy, acceleration = {}, {}
    for video in videos:
        values = motion[video.name]
        snippets = max(1, len(values) // snippet_frames)
        parts = [values[i * snippet_frames : (i + 1) * snippet_frames] for i in range(snippets)]
        jumps = np.abs(np.diff(values, prepend=values[:1]))
        jump_parts = [jumps[i * snippet_frames : (i + 1) * snippet_frames] for i in range(snippets)]
        energy[video.name] = smoothed(np.array([part.mean() for part in parts]))
        acceleration[video.name] = smoothed(np.array([part.mean() for part in jump_parts]))
    return energy, acceleration


def labelled(test: RealTest, scores: Mapping[str, Floats]) -> tuple[LabelledVideo, ...]:
    """The test split with its scores and labels of frames; of whole clips one score, the mean over its snippets."""
    videos = test.videos.subset("test")
    if test.whole_clips:
        return tuple(_clip(video, float(scores[video.name].mean())) for video in videos)
    scored = []
    for video in videos:
        edges = np.arange(len(scores[video.name]) + 1, dtype=np.int64) * test.snippet_frames
        scored.append(VideoScores(video.name, scores[video.name], edges))
    return align(scored, list(videos)).videos


def _clip(video: Video, score: float) -> LabelledVideo:
    label = int(video.label or 0)
    positive, negative = np.array([label], np.int64), np.array([1 - label], np.int64)
    edges = np.array([0, 1], np.int64)
    return LabelledVideo(video.name, label, None, None, np.array([score]), edges, positive, negative, ())
