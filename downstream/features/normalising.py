"""Normalising feature vectors: each by itself, or by what its video looks like as a whole."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downstream.features.scratch import drop_pages

Normalise = Literal["none", "l2", "layer", "video", "place"]
OF_VIDEO = ("video", "place")
"""Those that need the whole video before the first vector, so not for live use."""
BLOCK_BYTES = 16 << 20
"""A video is read in blocks of so many bytes (as float32): one of nine hours with ten crops would be 5 GB at once."""


class Statistics(NamedTuple):
    """What is taken off a video's vectors, (places or 1, dim), and what they are divided by, (1, dim)."""

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]


def normalised(
    features: NDArray[Any], how: Normalise, statistics: Statistics | None = None, motion: bool = False
) -> NDArray[np.float32]:
    """Features (snippets, places, dim) in any type -> float32.

    `l2`: every vector to length sqrt(dim), so that its numbers are about 1; `layer`: every vector to mean 0 and
    deviation 1; `video`: every number less its mean over the video's snippets and places, over its deviation there
    (takes the camera away); `place`: less its mean over the video's snippets at that place (takes away what stands
    there all the time, the background of a cell; not divided: a still video shall not look as lively as a busy one).
    `statistics`: of the whole video where `features` are a part of it. `motion`: the last number is that of
    `clip_motion` and stays as it is; it is none of the network's.
    """
    if motion and how != "none":
        own = None if statistics is None else Statistics(statistics.mean[:, :-1], statistics.scale[:, :-1])
        rest = normalised(features[..., :-1], how, own)
        return np.concatenate([rest, np.asarray(features[..., -1:], np.float32)], axis=2)
    values = np.asarray(features, dtype=np.float32)
    if how == "l2":
        length = np.linalg.norm(values, axis=2, keepdims=True)
        return values * (np.sqrt(np.float32(values.shape[2])) / np.maximum(length, 1e-6))
    if how == "layer":
        mean, deviation = values.mean(axis=2, keepdims=True), values.std(axis=2, keepdims=True)
        return (values - mean) / np.maximum(deviation, 1e-3 * np.abs(mean) + 1e-6)
    if how in OF_VIDEO:
        taken = statistics or video_statistics(features, how)
        return (values - taken.mean) / taken.scale
    return values


def video_statistics(features: NDArray[Any], how: Normalise) -> Statistics:
    """Of all snippets (snippets, places, dim) of a video, a block in memory at a time."""
    snippets, places, dim = features.shape
    total, squares = np.zeros((places, dim)), np.zeros(dim)
    length = max(1, BLOCK_BYTES // (4 * places * dim))
    for start in range(0, snippets, length):
        block = features[start : start + length].astype(np.float64)
        total += block.sum(axis=0)
        squares += (block**2).sum(axis=(0, 1))
        drop_pages(features)
    return statistics_of(total, squares, snippets, how)


def statistics_of(
    total: NDArray[np.float64], squares: NDArray[np.float64], snippets: int, how: Normalise
) -> Statistics:
    """Of so many snippets, from the sum of their vectors (places, dim) and of all the squares (dim,)."""
    places, dim = total.shape
    if how == "place":
        return Statistics((total / snippets).astype(np.float32), np.ones((1, dim), np.float32))
    mean = total.sum(axis=0) / (snippets * places)
    deviation = np.sqrt(np.maximum(squares / (snippets * places) - mean**2, 0))
    # a number that never changes carries nothing: it becomes 0, not noise blown up
    scale = np.maximum(deviation, 1e-3 * np.abs(mean) + 1e-6)
    return Statistics(mean[None].astype(np.float32), scale[None].astype(np.float32))
