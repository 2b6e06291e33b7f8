"""The settings of a detector that no label has taught."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from downstream.features.feature_spec import NOISE_FLOOR
from pretrain.errors import UserError, nearest

Part = Literal["change", "nearest", "gaussian", "deviation", "motion"]


NEIGHBOURS = 5


@dataclass(frozen=True, kw_only=True)
class NormalConfig:
    """What a label-free detector looks at."""

    parts: tuple[Part, ...] | None = None
    """Any of change, nearest, gaussian, deviation, motion; their standardised logarithms are summed. Default: change,
    nearest, and motion where the features say it (those of scripts/extract_features.py do)."""
    relative_to: Literal["footage", "video"] = "footage"
    """What scores are standardised by: the footage that it is fitted to, which makes scores of several videos
    comparable; or each video itself, for cameras that no footage is known of."""
    motion_floor: float = 1.0
    """Grey levels that are added to how much cells, or the picture, move: 8-bit frames are rounded to whole ones, so
    less is mostly noise, and a still wall must not count by how still it is."""
    smoothing: float = 1.0
    """A Gaussian mean over time, of so many snippets' standard deviation. 0: none."""
    coreset: int = 4096
    """Snippets (or cells) of the footage that `nearest` compares with."""
    trim: float = 0.02
    """Share of the footage that is farthest from the rest and taken out before the final fit: a few anomalies among the
    normal must not become normal."""
    cameras: bool = True
    """Learn what is usual of each camera, and of each place in its picture where there are cells. A camera is a group
    of the catalogue with two videos of the footage or more; its videos are scored by its own, others as before."""
    keeps_learning: bool = False
    """On a stream: standardise by what the camera has shown in live.window_seconds instead of the footage."""

    def __post_init__(self) -> None:
        if self.parts is not None:
            _check_parts(self.parts)
        if not NOISE_FLOOR <= self.motion_floor <= 255:
            raise UserError(f"motion_floor is {self.motion_floor}; it must lie in [{NOISE_FLOOR}, 255] grey levels")
        if not 0 <= self.smoothing <= 64:
            raise UserError(f"smoothing is {self.smoothing}; it must lie in [0, 64] snippets")
        if self.coreset < NEIGHBOURS:
            raise UserError(f"coreset is {self.coreset}; it must hold the {NEIGHBOURS} neighbours at least")
        if not 0 <= self.trim < 0.5:
            raise UserError(f"trim is {self.trim}; it must lie in [0, 0.5)")


def _check_parts(parts: Sequence[str]) -> None:
    if unknown := [part for part in parts if part not in get_args(Part)]:
        raise UserError(
            f"parts has '{unknown[0]}'{nearest(unknown[0], get_args(Part))}; it takes {', '.join(get_args(Part))}"
        )
    if not parts or len(set(parts)) < len(parts):
        raise UserError(f"parts is {' '.join(parts) or 'empty'}; give one or more, each once")
