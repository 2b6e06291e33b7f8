"""The reference scores that stored features give, of whole videos of any length, and where a run keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from downstream.features.blocks import blocks
from downstream.features.fusion import FusedFeatures
from downstream.references.measures import (
    Features,
    Floats,
    NormalSnippets,
    compared_rows,
    deviation,
    draw_normal,
    feature_change,
    normal_distance,
    one_place,
    position,
)
from downstream.runs.run_folder import RunFolder
from downstream.scores.video_scores import VideoScores
from pretrain.data.catalogue import Video

MEANING = {
    "feature_change": "Euclidean distance of a snippet's features to those of the snippet before it, mean of 5",
    "deviation": "median Euclidean distance to the other snippets of the same video",
    "normal_distance": "mean distance to the 5 nearest of at most 4096 snippets of normal training videos, scaled",
    "clip_motion": "how much the frames of a snippet's clip differ, as the features say",
    "position": "highest in the middle of the video",
}
"""Each reference, and what it is."""
SEED = 0
"""Of the draw of normal snippets: one for all runs, so that their references are the same."""
_DRAWN_ROWS = 256


def reference_names(features: FusedFeatures) -> list[str]:
    """Which references these features give, where there are normal training videos."""
    return [name for name in MEANING if name != "clip_motion" or features.motion]


def write_feature_references(
    runs: Sequence[RunFolder], features: FusedFeatures, train: Sequence[Video], test: Sequence[Video]
) -> None:
    """Score the test videos by every reference, and keep that in each run: they share features and videos.

    `train`: of these the normal ones are what `normal_distance` measures from; it is left out where there are none.
    UserError: features that are not finite, or snippets that cannot be placed.
    """
    names = sorted(video.name for video in train if video.label == 0 and video.name in features.videos)
    scores = score_references(features, test, names, np.random.default_rng(SEED))
    places = "mean vector over crops" if features.grid is None else "highest cell"
    sets = [part.folder.name for part in features.sets]
    for name, scored in scores.items():
        meta = {"reference": name, "meaning": MEANING[name], "features": sets, "normalise": features.normalise}
        for run in runs:
            run.write_reference(name, scored, meta | {"places": places})


def score_references(
    features: FusedFeatures, test: Sequence[Video], normal: Sequence[str], rng: np.random.Generator
) -> dict[str, list[VideoScores]]:
    """Reference -> scores of the test videos, in their order and on a detector's snippets. `normal`: names."""
    bank = draw_bank(features, normal, rng) if normal else None
    names = [name for name in reference_names(features) if bank or name != "normal_distance"]
    found: dict[str, list[VideoScores]] = {name: [] for name in names}
    for video in test:
        entry = features.videos[video.name]
        edges = entry.edges_with(video.num_frames)
        for name, scores in _of_one(features, video.name, bank).items():
            found[name].append(VideoScores(video.name, scores, edges))
    return found


def _of_one(features: FusedFeatures, name: str, bank: NormalSnippets | None) -> dict[str, Floats]:
    rows = compared_rows(features.videos[name].snippets)
    scores = {
        "feature_change": feature_change(_parts(features, name)),
        "deviation": deviation(_parts(features, name), _placed(features, features.read(name, rows)), rows),
        "position": position(features.videos[name].snippets),
    }
    if bank is not None:
        scores["normal_distance"] = normal_distance(_parts(features, name), bank)
    if features.motion:
        scores["clip_motion"] = np.concatenate([_motion(features, part) for _, part in blocks(features, name)])
    return scores


def draw_bank(features: FusedFeatures, names: Sequence[str], rng: np.random.Generator) -> NormalSnippets:
    """At most 4,096 snippets of these videos, of each its mean over crops or one of its cells."""
    counts = [features.videos[name].snippets for name in names]
    kept, places = draw_normal(sum(counts), 1 if features.grid is None else features.crops_or_cells, rng)
    owner = np.searchsorted(np.cumsum(counts), kept, side="right")
    vectors = []
    for number, name in enumerate(names):
        own = owner == number
        rows = kept[own] - sum(counts[:number])
        vectors.append(_vectors(features, name, rows, places[own]))
    return NormalSnippets.of(np.concatenate(vectors))


def _vectors(features: FusedFeatures, name: str, rows: NDArray[np.int64], places: NDArray[np.int64]) -> Features:
    """(rows, dim): of each row the vector of its place, a few rows in memory at a time."""
    found = np.empty((len(rows), features.dim - len(features.motion)), np.float32)
    for start in range(0, len(rows), _DRAWN_ROWS):
        some = slice(start, start + _DRAWN_ROWS)
        values = _placed(features, features.read(name, rows[some]))
        found[some] = values[np.arange(len(values)), places[some]]
    return found


def _parts(features: FusedFeatures, name: str) -> Iterator[Features]:
    return (_placed(features, part) for _, part in blocks(features, name))


def _placed(features: FusedFeatures, values: Features) -> Features:
    """What the networks say of each place; motion is a reference of its own."""
    placed = one_place(values) if features.grid is None else values
    return np.delete(placed, features.motion, axis=2) if features.motion else placed


def _motion(features: FusedFeatures, values: Features) -> Floats:
    """(snippets,): of the place where most moves; of crops their mean."""
    moved = values[..., list(features.motion)].mean(axis=2, dtype=np.float64)
    found: Floats = moved.mean(axis=1) if features.grid is None else moved.max(axis=1)
    return found
