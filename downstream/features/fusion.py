"""Any number of feature sets side by side on one snippet grid: early fusion. One set alone is the simplest case.

Early fusion of I3D and CLIP features is [paper] (contrastive clustering and early fusion, IJCNN 2025); that each set is
normalised first, and on what grid they meet, is [ours].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from downstream.features.kind import FeatureKind, VideoEntry
from downstream.features.store import FeatureSet
from pretrain.errors import UserError, problem_list

Normalise = Literal["none", "l2", "layer", "video"]
MAX_LENGTH_DIFFERENCE = 1


class FusedFeatures:
    """Feature sets with the same videos, crops and snippets; each is normalised by itself, then all are concatenated.

    normalise: `l2`: every vector to length sqrt(dim), so that its numbers are about 1; `layer`: every vector to mean 0
    and deviation 1; `video`: every number less its mean over the video's snippets and crops, over its deviation there
    (takes the camera away; needs the whole video, so not for live use); `none`.

    Lengths of a video may differ by one snippet between sets: the shorter counts. A set with one crop serves all crops
    of the others. UserError where the sets do not fit, naming the first videos and by how much.
    """

    def __init__(self, sets: Sequence[FeatureSet], normalise: Normalise = "none") -> None:
        if not sets:
            raise UserError("no feature set was given: set features.sets to one folder or more")
        self.sets, self.normalise = tuple(sets), normalise
        self.kinds: tuple[FeatureKind, ...] = tuple(part.kind for part in sets)
        self.dim = sum(kind.dim for kind in self.kinds)
        self.crops = max(len(kind.crops) for kind in self.kinds)
        _refuse_mismatch(self.sets)
        self.videos: dict[str, VideoEntry] = {
            name: replace(entry, snippets=min(part.videos[name].snippets for part in sets))
            for name, entry in sets[0].videos.items()
        }

    @staticmethod
    def open(folders: Sequence[Path], normalise: Normalise = "none") -> FusedFeatures:
        """Open the sets in these folders."""
        return FusedFeatures([FeatureSet.open(folder) for folder in folders], normalise)

    def read(self, name: str) -> NDArray[np.float32]:
        """float32 (snippets, crops, dim)."""
        length = self.videos[name].snippets
        parts = []
        for part in self.sets:
            features = normalised(part.read(name)[:length], self.normalise)
            parts.append(np.broadcast_to(features, (length, self.crops, features.shape[2])))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)

    def require(self, names: Sequence[str], what: str) -> None:
        """UserError naming the videos of a list that have no features."""
        empty = [name for name in names if name in self.videos and not self.videos[name].snippets]
        if empty:
            raise UserError(
                f"{len(empty)} {what} video(s) have features without a single snippet:\n{problem_list(empty)}\n"
                "Extract them again, or take them out of the list"
            )
        missing = [name for name in names if name not in self.videos]
        if missing:
            raise UserError(
                f"{len(missing)} of {len(names)} {what} videos have no features in {self.sets[0].folder}:\n"
                f"{problem_list(missing)}\nExtract them, take them out of the list, or set features.allow_missing"
            )


def normalised(features: NDArray[Any], how: Normalise) -> NDArray[np.float32]:
    """Features (snippets, crops, dim) in any type -> float32, normalised as `FusedFeatures` says."""
    values = np.asarray(features, dtype=np.float32)
    if how == "l2":
        length = np.linalg.norm(values, axis=2, keepdims=True)
        return values * (np.sqrt(np.float32(values.shape[2])) / np.maximum(length, 1e-6))
    if how in ("layer", "video"):
        axes = 2 if how == "layer" else (0, 1)
        mean, deviation = values.mean(axis=axes, keepdims=True), values.std(axis=axes, keepdims=True)
        # a number that never changes carries nothing: it becomes 0, not noise blown up
        return (values - mean) / np.maximum(deviation, 1e-3 * np.abs(mean) + 1e-6)
    return values


def _refuse_mismatch(sets: Sequence[FeatureSet]) -> None:
    first = sets[0]
    problems: list[str] = []
    for other in sets[1:]:
        mine, theirs = len(first.kind.crops), len(other.kind.crops)
        if mine != theirs and 1 not in (mine, theirs):
            problems.append(f"{other.folder} has {theirs} crops, {first.folder} has {mine}")
        elif first.kind.snippet_frames != other.kind.snippet_frames:
            a, b = first.kind.snippet_frames, other.kind.snippet_frames
            problems.append(f"snippets of {a} frames in {first.folder} against {b} in {other.folder}")
        elif mine == theirs and first.kind.crops != other.kind.crops:
            problems.append(f"the crops of {other.folder} come in another order: {other.kind.crops}")
        problems += [f"'{name}' is not in {other.folder}" for name in first.videos if name not in other.videos]
        problems += [f"'{name}' is not in {first.folder}" for name in other.videos if name not in first.videos]
        for name, entry in first.videos.items():
            if (twin := other.videos.get(name)) is not None:
                problems += _grid_problems(name, entry, twin)
    if problems:
        raise UserError(
            f"these feature sets do not fit together ({len(problems)} problem(s)):\n{problem_list(problems)}\n"
            "Fused sets need the same videos, the same crops and the same snippets: extract them again with one setting"
        )


def _grid_problems(name: str, mine: VideoEntry, theirs: VideoEntry) -> list[str]:
    if mine.snippet_frames != theirs.snippet_frames:
        return [f"'{name}': snippets of {mine.snippet_frames} frames against {theirs.snippet_frames}"]
    difference = abs(mine.snippets - theirs.snippets)
    if difference > (MAX_LENGTH_DIFFERENCE if mine.snippet_frames is not None else 0):
        return [f"'{name}': {mine.snippets} snippets against {theirs.snippets}, {difference} off"]
    if None not in (mine.frames, theirs.frames) and mine.frames != theirs.frames:
        return [f"'{name}': {mine.frames} frames against {theirs.frames}"]
    return []
