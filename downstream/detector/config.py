"""The settings of the network between features and scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pretrain.errors import UserError

TemporalEncoder = Literal[
    "none", "multi_scale", "transformer", "multi_scale_attention", "global_local", "glance_focus", "window_graph"
]
ATTENTION = ("transformer", "multi_scale_attention", "global_local", "glance_focus", "window_graph")
"""Those that see all of the video at once."""
EMBEDS = ("global_local", "glance_focus")
"""Those that make their own width of features of any: the others give as many numbers as they get."""
HeadName = Literal["mlp", "deep", "linear", "residual", "batch_norm"]
"""What makes scores; see `heads`."""
HEADS = 4
"""Of the transformer [ours, not studied]; `global_local` has as many, as published."""
LEAST = 8
"""Numbers of a stage of `glance_focus`: the norm of one number alone is 0, whatever it was."""
SMALLEST_WIDTH: dict[TemporalEncoder, tuple[int, str]] = {
    "multi_scale": (3, "shares it among 3 scales"),
    "multi_scale_attention": (4, "shares it among 3 scales and the attention"),
    "window_graph": (2, "shares it between two graphs"),
    "glance_focus": (LEAST, "normalises over it"),
}
"""Encoder -> how wide it is at least, and why."""
_HEADS = (HEADS, f"shares it among {HEADS} heads")
MULTIPLE_OF: dict[TemporalEncoder, tuple[int, str]] = {"transformer": _HEADS, "global_local": _HEADS}
"""Encoder -> what its width is a multiple of, and why."""


@dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """The network between features and scores."""

    temporal: TemporalEncoder = "none"
    """How snippets see their neighbours; with cells, each cell the same one before and after. Of published detectors:
    multi_scale_attention (RTFM, 2021), global_local (UR-DMU, 2023), glance_focus (MGFN, 2023), window_graph (VadCLIP,
    2024)."""
    spatial: Literal["none", "conv"] = "none"
    """With cells: how each sees the cells around it; conv is a 3x3 convolution."""
    width: int = 128
    """Numbers per snippet inside the detector."""
    projection: Literal["linear", "none"] = "linear"
    """linear: a layer of `width` numbers, ReLU and dropout before the temporal encoder. none: features go into it as
    they are; global_local and glance_focus make `width` numbers of them, the others keep the features' own width."""
    head: HeadName = "mlp"
    """What makes a score of a snippet: mlp (one hidden layer), deep (two), linear (none), residual (a perceptron added
    to its input), batch_norm (two layers with batch norms, whose statistics amend the score: BN-WVAD, 2023)."""
    hidden: int = 32
    """Width of the scoring head's last hidden layer; deep: the first is four times as wide; batch_norm: of its first,
    the second has half."""
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
    compared with the rest of the video; of a cell: of its own log odds, and of how unusual its change and motion are.
    none: the snippet's own log odds alone. Detectors trained straight from videos have their own alone: nothing else
    was measured there."""
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
        check_width(self.temporal, self.width, "detector.width is")


def check_width(temporal: TemporalEncoder, width: int, what: str) -> None:
    """UserError where the encoder cannot be so wide; `what` it is that is `width`, in words."""
    least, shares = SMALLEST_WIDTH.get(temporal, (1, ""))
    if width < least:
        raise UserError(f"{what} {width}; {temporal} {shares}: at least {least}")
    multiple, shares = MULTIPLE_OF.get(temporal, (1, ""))
    if width % multiple:
        raise UserError(f"{what} {width}; {temporal} {shares}: give a multiple of {multiple}")
