"""What makes feature vectors comparable, and which frames of its video each of them stands for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pretrain.data.geometry import BorderCrop
from pretrain.errors import UserError

Grid = tuple[int, int]
"""Rows and columns of cells."""
Pool = Literal["mean", "mean_max"]
"""Over what a network gives of a clip: the mean, or the mean and the maximum side by side."""
Tail = Literal["drop", "pad"]
Output = Literal["map", "mixed_map", "image_output", "network_output"]
OUTPUT_WORDS: dict[Output, str] = {
    "map": "feature map",
    "mixed_map": "feature map after temporal mixing",
    "image_output": "the image model's own pooled output",
    "network_output": "the network's own output",
}
"""What of a network is pooled."""
WHERE_FROM = ("crops", "crop_margin", "tail")
"""Fields that say which parts of frame and video the vectors are of, not how a vector is made."""
NOISE_FLOOR = 0.1
"""Grey levels that are added to motion (`clip_motion`) before its logarithm: what is still is not endlessly stiller
than what is almost."""
OF_SOME: dict[str, Any] = {"grid": None, "stage": None, "stages": (), "motion": False}
"""Fields that only some sets have, cells or motion, and what they are in the others, whose manifests leave them out."""


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
    border_crop: BorderCrop | None = None
    """Shares of the frame cut off at top, bottom, left, right; None for imported features, as all down to `tail`."""
    crop_height: int | None = None
    """Pixels of each crop, which is what the encoder sees."""
    crop_width: int | None = None
    mean: tuple[float, ...] | None = None
    """Per channel (RGB): the encoder sees `(pixels / 255 - mean) / std`."""
    std: tuple[float, ...] | None = None
    output: Output | None = None
    """What of the encoder is pooled."""
    pool: Pool | None = None
    """How it is pooled."""
    crop_margin: float | None = None
    """Frames were scaled to cover so many times a crop's height and width."""
    tail: Tail | None = None
    """What became of frames after the last whole snippet, see `SnippetSettings.tail`; None for imported features."""
    grid: Grid | None = None
    """Rows and columns: a snippet has a vector for each cell of the picture, rows first, instead of one a crop."""
    stage: str | None = None
    """The module of the encoder whose map the cells are of; None: the encoder's own map."""
    stages: tuple[str, ...] = ()
    """Modules of the encoder whose maps were pooled beside its own; none for cells."""
    motion: bool = False
    """The last of the `dim` numbers is the logarithm of how much the clip's frames differ (`clip_motion`)."""

    @property
    def crops_or_cells(self) -> int:
        """Vectors a snippet has: its crops, or its cells."""
        return len(self.crops) if self.grid is None else self.grid[0] * self.grid[1]

    def as_json(self) -> dict[str, Any]:
        """For manifests and cards; what only some sets have is left out of the others'."""
        values = {
            key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(self).items()
        }
        return {key: value for key, value in values.items() if key not in OF_SOME or getattr(self, key) != OF_SOME[key]}

    @staticmethod
    def from_json(values: dict[str, Any]) -> FeatureSpec:
        """The inverse of `as_json`; TypeError for unknown or missing keys."""
        names = {field.name for field in dataclasses.fields(FeatureSpec)}
        if missing := sorted(names - values.keys() - OF_SOME.keys()):
            raise TypeError(f"missing: {', '.join(missing)}")
        return FeatureSpec(**_with_tuples(values))

    def describe_preprocessing(self) -> str:
        """Border, size and normalisation of the pixels, and pooling, in words; `unknown` for imported features."""
        if self.border_crop is None or self.mean is None or self.std is None or self.output is None:
            return "unknown"
        top, bottom, left, right = (f"{share:g}" for share in self.border_crop)
        size = f"{self.crop_height}x{self.crop_width}"
        return (
            f"RGB; border cut top {top}, bottom {bottom}, left {left}, right {right} of the frame; scaled to cover "
            f"{size}; crops of {size}; (pixels / 255 - {_numbers(self.mean)}) / {_numbers(self.std)}; "
            f"{OUTPUT_WORDS[self.output]}, pooled by {self.pool}"
            + (f"; beside it {', '.join(self.stages)} and deviations over time" if self.stages else "")
            + ("; motion of the clip" if self.motion else "")
        )

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


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    """JSON values with tuples for lists, as frozen dataclasses hold them."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _numbers(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"


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
        return VideoEntry(**_with_tuples(values))

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

    def edges_with(self, frames: int | None, placed: bool = True) -> NDArray[np.int64]:
        """`edges`, with the length that a catalogue may know.

        Where neither knows it: UserError, or with `placed` off snippets that count themselves.
        """
        edges = self.edges()
        if edges is None and frames is not None:
            return np.arange(self.snippets + 1, dtype=np.int64) * frames // self.snippets
        if edges is None and not placed:
            return np.arange(self.snippets + 1, dtype=np.int64)
        if edges is None:
            raise UserError(
                f"'{self.name}': its {self.snippets} snippets divide the video evenly, and nobody says how many frames "
                "it has: give num_frames in the catalogue"
            )
        return edges
