"""The settings of the network between features and scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pretrain.errors import UserError

TemporalEncoder = Literal["none", "multi_scale", "transformer", "global_local"]


ATTENTION = ("transformer", "global_local")
"""Those that share the width among heads and see all of the video at once."""


HEADS = 4
"""Of the transformer [ours, not studied]; `global_local` has as many, as published."""


@dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """The network between features and scores."""

    temporal: TemporalEncoder = "none"
    """How snippets see their neighbours; with cells, each cell the same one before and after."""
    spatial: Literal["none", "conv"] = "none"
    """With cells: how each sees the cells around it; conv is a 3x3 convolution."""
    width: int = 128
    """Numbers per snippet inside the detector."""
    hidden: int = 32
    """Width of the scoring head."""
    dropout: float = 0.5
    """After the projection and inside the head."""
    memories: int = 0
    """Vectors in each of two memories, of normal and of abnormal snippets, that features are augmented by before the
    head (UR-DMU, 2023: 60). 0: none, or 60 where objective.dual_memory trains them."""
    score_smoothing: float = 1.0
    """A Gaussian mean of the log odds over time, of so many snippets' standard deviation (with cells, along each):
    steadier scores, events that are not torn apart. 0: none. When videos are scored, not in training: where that was
    tried it found less."""
    composition: Literal["which_when", "none"] = "which_when"
    """How a score is made when videos are scored. which_when: of what speaks for the video, as far as held-out videos
    say that this can be relied on, of the snippet's own log odds, and of how much the features change around it,
    compared with the rest of the video. none: the snippet's own log odds alone. Cells, and detectors trained straight
    from videos, have their own alone: nothing else was measured there."""
    standardise: Literal["dimension", "global", "none"] = "dimension"
    """Shift and scale features by statistics of the training bags, which travel with the detector. All but `none` take
    each number's mean away; `dimension` divides each by its own deviation, `global` all by one: better for features
    after PCA, whose last numbers are noise that should stay small."""

    def __post_init__(self) -> None:
        for name in ("width", "hidden"):
            if getattr(self, name) < 1:
                raise UserError(f"detector.{name} is {getattr(self, name)}; it must be at least 1")
        if self.memories < 0:
            raise UserError(f"detector.memories is {self.memories}; it must be 0 (none) or more vectors")
        if not 0 <= self.dropout < 1:
            raise UserError(f"detector.dropout is {self.dropout}; it must lie in [0, 1)")
        if not 0 <= self.score_smoothing <= 64:
            raise UserError(f"detector.score_smoothing is {self.score_smoothing}; it must lie in [0, 64] snippets")
        if self.temporal == "multi_scale" and self.width < 3:
            raise UserError(f"detector.width is {self.width}; multi_scale shares it among 3 scales: at least 3")
        if self.temporal in ATTENTION and self.width % HEADS:
            raise UserError(
                f"detector.width is {self.width}; {self.temporal} shares it among {HEADS} heads: give a multiple of "
                f"{HEADS}"
            )
