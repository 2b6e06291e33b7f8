"""Any number of feature sets side by side on one snippet grid: early fusion. One set alone is the simplest case.

Early fusion of I3D and CLIP features is [paper] (contrastive clustering and early fusion, IJCNN 2025); that each set is
normalised first, and on what grid they meet, is [ours].
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from downstream.features.feature_spec import FeatureSpec, Grid, VideoEntry
from downstream.features.normalising import OF_VIDEO, Normalise, Statistics, normalised, video_statistics
from downstream.features.scratch import drop_pages
from downstream.features.store import FeatureSet
from pretrain.errors import UserError, problem_list
from pretrain.names import KnownNames

T = TypeVar("T")
MAX_LENGTH_DIFFERENCE = 1
KEPT_BYTES = 128 << 20
"""Of means of videos, for normalising."""
MAX_CELL_SHIFT = 0.25
"""Cells of two sets are of one place if they lie no further apart, as a share of a cell [ours]: frames of two sizes are
scaled to even numbers of pixels, which moves the part seen a little."""


class FusedFeatures:
    """Feature sets with the same videos, crops (or cells) and snippets; each normalised by itself, then concatenated.

    normalise: see `normalising.normalised`. pool_cells: cells pooled to so many rows and columns by their maximum,
    after normalising: with `place`, what is new anywhere in the larger cell.

    Lengths of a video may differ by one snippet between sets: the shorter counts. A set with one crop serves all crops
    of the others, or all cells; sets with cells need one grid over one part of the picture. UserError where the sets do
    not fit, naming the first videos and by how much.
    """

    def __init__(
        self, sets: Sequence[FeatureSet], normalise: Normalise = "none", pool_cells: Grid | None = None
    ) -> None:
        if not sets:
            raise UserError("no feature set was given: set features.sets to one folder or more")
        self.sets, self.normalise, self.pool_cells = tuple(sets), normalise, pool_cells
        self.specs: tuple[FeatureSpec, ...] = tuple(part.spec for part in sets)
        self.dim = sum(spec.dim for spec in self.specs)
        self.motion = motion_columns(self.specs)
        """Which numbers of a vector are logarithms of motion (`clip_motion`)."""
        self.stored_crops_or_cells = max(spec.crops_or_cells for spec in self.specs)
        own = next((spec.grid for spec in self.specs if spec.grid is not None), None)
        _check_pooling(pool_cells, own)
        self.grid = pool_cells or own
        """Rows and columns of cells; None: the places are crops."""
        self.crops_or_cells = self.stored_crops_or_cells if self.grid is None else self.grid[0] * self.grid[1]
        """Vectors of a snippet: its crops, or its cells."""
        self._kept: dict[tuple[str, str], Statistics] = {}
        _refuse_mismatch(self.sets)
        self.videos: dict[str, VideoEntry] = {
            name: replace(
                video,
                snippets=min(part.videos[name].snippets for part in sets),
                frames=_first_known(part.videos[name].frames for part in sets),
                fps=_first_known(part.videos[name].fps for part in sets),
            )
            for name, video in self._placed().videos.items()
        }

    def _placed(self) -> FeatureSet:
        """The set that says where cells lie; any where there are none."""
        return next((part for part in self.sets if part.spec.grid is not None), self.sets[0])

    @staticmethod
    def open(folders: Sequence[Path], normalise: Normalise = "none", pool_cells: Grid | None = None) -> FusedFeatures:
        """Open the sets in these folders."""
        return FusedFeatures([FeatureSet.open(folder) for folder in folders], normalise, pool_cells)

    def read(self, name: str, rows: slice | NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """float32 (rows, places, dim): a video's snippets, or some. `normalise` may want all of them, once.

        What was read is no memory of this process afterwards (`drop_pages`).
        """
        whole = slice(self.videos[name].snippets)
        parts = []
        for part in self.sets:
            stored = part.read(name)[whole]
            statistics = self._statistics(part, name) if self.normalise in OF_VIDEO else None
            features = normalised(
                stored if rows is None else stored[rows], self.normalise, statistics, part.spec.motion
            )
            if self.pool_cells is not None and part.spec.grid is not None:
                features = pooled(features, part.spec.grid, self.pool_cells)
            parts.append(np.broadcast_to(features, (len(features), self.crops_or_cells, features.shape[2])))
            drop_pages(stored)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)

    def _statistics(self, part: FeatureSet, name: str) -> Statistics:
        """Of a video's snippets that count; kept for the videos that were read last."""
        key = str(part.folder), name
        if key not in self._kept:
            stored = part.read(name)[: self.videos[name].snippets]
            if len(self._kept) >= max(1, KEPT_BYTES // (4 * part.spec.crops_or_cells * part.spec.dim)):
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = video_statistics(stored, self.normalise)
        return self._kept[key]

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
            known = KnownNames(self.videos)
            lines = [f"{name}{known.hint(name)}" for name in missing]
            raise UserError(
                f"{len(missing)} of {len(names)} {what} videos have no features in {self.sets[0].folder}:\n"
                f"{problem_list(lines)}\nExtract them, take them out of the list, or set features.allow_missing"
            )


def motion_columns(specs: Sequence[FeatureSpec]) -> tuple[int, ...]:
    """Which numbers of fused vectors are logarithms of motion: the last of each set that has it."""
    ends = accumulate(spec.dim for spec in specs)
    return tuple(end - 1 for end, spec in zip(ends, specs, strict=True) if spec.motion)


def pooled(features: NDArray[np.float32], grid: Grid, fewer: Grid) -> NDArray[np.float32]:
    """Features of cells (snippets, cells, dim) -> of fewer, larger ones: the maximum of those that each covers."""
    (rows, columns), (down, across) = grid, fewer
    blocks = features.reshape(len(features), down, rows // down, across, columns // across, -1)
    highest: NDArray[np.float32] = blocks.max(axis=(2, 4)).reshape(len(features), down * across, -1)
    return highest


def _check_pooling(wanted: Grid | None, own: Grid | None) -> None:
    if wanted is None:
        return
    if own is None:
        raise UserError(
            f"features.pool_cells is {wanted[0]} {wanted[1]}, but no feature set has cells: extract one with --grid map"
        )
    if any(few < 1 or many % few for few, many in zip(wanted, own, strict=True)) or wanted == (1, 1):
        raise UserError(
            f"features.pool_cells is {wanted[0]} {wanted[1]}; the sets have {own[0]}x{own[1]} cells: give numbers that "
            "divide these, and more than one cell"
        )


def _refuse_mismatch(sets: Sequence[FeatureSet]) -> None:
    # a set of one place fits every other, so it can vouch for none
    first = next((part for part in sets if part.spec.crops_or_cells > 1), sets[0])
    problems: list[str] = []
    for other in (part for part in sets if part is not first):
        mine, theirs = first.spec.crops_or_cells, other.spec.crops_or_cells
        grids = [spec.grid for spec in (first.spec, other.spec) if spec.crops_or_cells > 1]
        grids_differ = len(grids) == 2 and grids[0] != grids[1]
        if grids_differ:
            problems.append(
                f"cells of {other.folder}: {_grid_words(grids[1])}, of {first.folder}: {_grid_words(grids[0])}"
            )
        elif mine != theirs and 1 not in (mine, theirs):
            problems.append(f"{other.folder} has {theirs} crops, {first.folder} has {mine}")
        elif first.spec.snippet_frames != other.spec.snippet_frames:
            a, b = first.spec.snippet_frames, other.spec.snippet_frames
            problems.append(f"snippets of {a} frames in {first.folder} against {b} in {other.folder}")
        elif mine == theirs and first.spec.crops != other.spec.crops:
            problems.append(f"the crops of {other.folder} come in another order: {other.spec.crops}")
        problems += [f"'{name}' is not in {other.folder}" for name in first.videos if name not in other.videos]
        problems += [f"'{name}' is not in {first.folder}" for name in other.videos if name not in first.videos]
        for name, video in first.videos.items():
            if (twin := other.videos.get(name)) is not None:
                problems += _grid_problems(name, video, twin)
                if not grids_differ and (apart := cells_apart(video, twin, first.spec.grid)):
                    problems.append(f"'{name}': {apart}")
    if problems:
        raise UserError(
            f"these feature sets do not fit together ({len(problems)} problem(s)):\n{problem_list(problems)}\n"
            "Fused sets need the same videos, crops or cells, and snippets: extract them again with one setting"
        )


def cells_apart(mine: VideoEntry, theirs: VideoEntry, grid: tuple[int, int] | None) -> str:
    """How the parts of the picture differ that two sets' cells divide, in words; an empty string where they are one."""
    if grid is None or mine.size is None or mine.seen is None or theirs.size is None or theirs.seen is None:
        return ""
    # shares of the picture: the same video may have been stored in two sizes
    a, b = (np.divide(seen, 2 * size) for seen, size in ((mine.seen, mine.size), (theirs.seen, theirs.size)))
    cell = np.tile((a[2:] - a[:2]) / (grid[1], grid[0]), 2)
    if bool((np.abs(a - b) <= MAX_CELL_SHIFT * cell).all()):
        return ""
    return f"cells over {_part_words(mine)} against {_part_words(theirs)}"


def _part_words(video: VideoEntry) -> str:
    assert video.seen is not None
    assert video.size is not None
    x1, y1, x2, y2 = video.seen
    return f"x {x1:.0f} to {x2:.0f}, y {y1:.0f} to {y2:.0f} of {video.size[0]}x{video.size[1]} pixels"


def _grid_words(grid: tuple[int, int] | None) -> str:
    return "none, but crops" if grid is None else f"{grid[0]}x{grid[1]}"


def _grid_problems(name: str, mine: VideoEntry, theirs: VideoEntry) -> list[str]:
    if mine.snippet_frames != theirs.snippet_frames:
        return [f"'{name}': snippets of {mine.snippet_frames} frames against {theirs.snippet_frames}"]
    difference = abs(mine.snippets - theirs.snippets)
    if difference > (MAX_LENGTH_DIFFERENCE if mine.snippet_frames is not None else 0):
        return [f"'{name}': {mine.snippets} snippets against {theirs.snippets}, {difference} off"]
    if None not in (mine.frames, theirs.frames) and mine.frames != theirs.frames:
        return [f"'{name}': {mine.frames} frames against {theirs.frames}"]
    return []


def _first_known(values: Iterable[T | None]) -> T | None:
    """What the first set says that says anything."""
    return next((value for value in values if value is not None), None)
