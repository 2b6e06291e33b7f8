"""What makes feature vectors comparable, and which frames of its video each of them stands for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class FeatureKind:
    """Two sets of one kind can be mixed; a detector scores the kinds it was trained on and no others."""

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
    """Size, cropping and normalisation of the pixels, in words; None for imported features."""

    def as_json(self) -> dict[str, Any]:
        """For manifests and cards."""
        return dataclasses.asdict(self) | {"crops": list(self.crops)}

    @staticmethod
    def from_json(values: dict[str, Any]) -> FeatureKind:
        """The inverse of `as_json`; TypeError for unknown or missing keys."""
        return FeatureKind(**{**values, "crops": tuple(values["crops"])})

    def differences(self, other: FeatureKind) -> list[str]:
        """`field: mine, other's` of every field in which the two differ."""
        pairs = (
            (field.name, getattr(self, field.name), getattr(other, field.name)) for field in dataclasses.fields(self)
        )
        return [f"{name}: {mine!r}, {theirs!r}" for name, mine, theirs in pairs if mine != theirs]


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
