"""What makes feature vectors comparable, and which frames of its video each of them stands for."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Grid = tuple[int, int]
"""Rows and columns of cells."""
WHERE_FROM = ("crops", "crop_margin", "tail")
"""Fields that say which parts of frame and video the vectors are of, not how a vector is made."""


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """What the vectors of a set are. Two sets of one kind can be mixed.

    A detector averages over crops and scores any snippet: it takes features that differ from those it was trained on in
    `WHERE_FROM` alone (`encoding_differences`), and no others.
    """

    encoder: str
    """`small3d`, `r3d_18`, `timm/<model>`, or what the importer was told (`i3d_rgb`)."""
    weights_sha256: str | None
    """Of the encoder's weights; None for imported features, of which nobody knows."""
    dim: int
    crops: tuple[str, ...] = ("centre",)
    """Name of each crop in stored order, see `downstream.features.crops`."""
    snippet_frames: int | None = 16
    """Video frames a snippet stands for; None: each video says so itself, or is divided evenly."""
    clip_frames: int | None = None
    """Frames the encoder sees of a snippet; None for imported features."""
    clip_stride: int | None = None
    preprocessing: str | None = None
    """Border, size and normalisation of the pixels and pooling, in words; None for imported features."""
    crop_margin: float | None = None
    """Frames were scaled to cover so many times a crop's height and width; None for imported features."""
    tail: str | None = None
    """What became of frames after the last whole snippet, see `SnippetSettings.tail`; None for imported features."""
    grid: Grid | None = None
    """Rows and columns: a snippet has a vector for each cell of the picture, rows first, instead of one a crop."""
    stage: str | None = None
    """The module of the encoder whose map the cells are of; None: the encoder's own map."""

    @property
    def places(self) -> int:
        """Vectors a snippet has: its crops, or its cells."""
        return len(self.crops) if self.grid is None else self.grid[0] * self.grid[1]

    def as_json(self) -> dict[str, Any]:
        """For manifests and cards; what cells alone have is left out where there are none."""
        values = dataclasses.asdict(self) | {"crops": list(self.crops)}
        return {key: value for key, value in values.items() if value is not None or key not in ("grid", "stage")}

    @staticmethod
    def from_json(values: dict[str, Any]) -> FeatureSpec:
        """The inverse of `as_json`; TypeError for unknown or missing keys."""
        grid = values.get("grid")
        values = {**values, "crops": tuple(values["crops"]), "grid": None if grid is None else tuple(grid)}
        if "crop_margin" not in values:
            values |= _out_of_words(values.get("preprocessing") or "")
        return FeatureSpec(**values)

    def differences(self, other: FeatureSpec) -> list[str]:
        """`field: mine, other's` of every field in which the two differ."""
        return self._compare(other, ())

    def encoding_differences(self, other: FeatureSpec) -> list[str]:
        """As `differences`, of what makes a vector alone: all fields but `WHERE_FROM`."""
        return self._compare(other, WHERE_FROM)

    def _compare(self, other: FeatureSpec, besides: tuple[str, ...]) -> list[str]:
        names = [field.name for field in dataclasses.fields(self) if field.name not in besides]
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in names)
        return [f"{name}: {mine!r}, {theirs!r}" for name, mine, theirs in pairs if mine != theirs]


def _out_of_words(preprocessing: str) -> dict[str, Any]:
    """The fields that the first manifests had within the words of `preprocessing`; none for imported features."""
    found = re.fullmatch(r"(.*) times ([\d.]+); (.*); tail shorter than a snippet: (.*)", preprocessing)
    if found is None:
        return {}
    before, margin, after, tail = found.groups()
    return {
        "preprocessing": f"{before}; {after}",
        "crop_margin": float(margin),
        "tail": "drop" if tail == "left out" else "pad",
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoEntry:
    """One video of a feature set: where its snippets lie in the array, and in the video."""

    name: str
    offset: int
    """Row of its first snippet."""
    snippets: int
    frames: int | None
    """Frames of the video, where known."""
    fps: float | None
    snippet_frames: int | None
    """Frames a snippet stands for; None: the video's frames are divided evenly among its snippets."""
    size: tuple[int, int] | None = None
    """Width and height of the picture in pixels; of sets with cells."""
    seen: tuple[float, float, float, float] | None = None
    """x1, y1, x2, y2 in pixels of the picture: the part that the cells divide evenly."""

    def __post_init__(self) -> None:
        for field, least in (("offset", 0), ("snippets", 0), ("frames", 1), ("snippet_frames", 1)):
            value = getattr(self, field)
            optional = value is None and field in ("frames", "snippet_frames")
            if not optional and (type(value) is not int or value < least):
                raise ValueError(f"'{self.name}': {field} is {value!r}, not a whole number from {least} on")

    @staticmethod
    def from_json(values: dict[str, Any]) -> VideoEntry:
        """The inverse of `as_json`; TypeError for unknown or missing keys."""
        plain: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return VideoEntry(**plain)

    def as_json(self) -> dict[str, Any]:
        """For manifests; what cells alone have is left out where there are none."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {key: value for key, value in values.items() if value is not None or key not in ("size", "seen")}

    def edges(self) -> NDArray[np.int64] | None:
        """int64 (snippets + 1,): snippet i stands for frames `[edges[i], edges[i + 1])`.

        The last edge may differ from `frames`: what happens to the tail is the evaluation's rule. None where the
        snippets divide the video evenly and its length is not known.
        """
        if self.snippet_frames is not None:
            return np.arange(self.snippets + 1, dtype=np.int64) * self.snippet_frames
        if self.frames is None:
            return None
        return np.arange(self.snippets + 1, dtype=np.int64) * self.frames // self.snippets
