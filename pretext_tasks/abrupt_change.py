"""Abrupt-change detection: is there a splice in this clip, and between which frames?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pretext_tasks import networks
from pretext_tasks.base import ClipGeometry, ClipSample, one_clip, require

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class AbruptChange:
    """Half of the clips jump: from a random frame on they go on elsewhere in the same window.

        window    ..abcdef........uvwxyz..     label 0: abcdefgh
                                               label 3: abcuvwxy   (the splice lies before frame 3)
                                               label 5: uvwxyabc   (jumps go back as well)

    The label is 0 for no splice, else the boundary, 1 to clip_frames - 1; accuracy counts splice against none.
    Shortcuts closed: both parts come from the same decoded window and get the same crop, nothing is encoded again,
    the jump's length and direction are drawn independently, lengths alike in both directions.
    After video continuity (CPNet, Liang 2021); the second head that places the splice follows its localisation task.
    """

    weight: float = 1.0
    """Weight of the task's loss; 0 switches the task off."""
    min_jump_frames: int = 12
    """Shortest jump, in source frames beyond the clip's own stride."""
    localisation_weight: float = 0.5
    """Weight of the boundary's cross-entropy beside the detection's."""

    num_labels = 2
    clips_per_window = 1

    def __post_init__(self) -> None:
        require(
            self.min_jump_frames >= 1,
            f"tasks.abrupt_change.min_jump_frames is {self.min_jump_frames}; it must be at least 1",
        )

    def min_window(self, clip_frames: int, stride_frames: int) -> int:
        """A clip with the shortest jump inside it."""
        return (clip_frames - 1) * stride_frames + 1 + self.min_jump_frames

    def sample(self, geometry: ClipGeometry, rng: np.random.Generator, label: int | None = None) -> ClipSample:
        """Frames of a clip; label 0 = whole, b > 0 = spliced before frame b. A given `label` is 0 or 1 (spliced)."""
        spliced = bool(rng.integers(2)) if label is None else bool(label)
        steps = geometry.stride_frames * np.arange(geometry.clip_frames)
        if not spliced:
            return one_clip(int(rng.integers(geometry.window_frames - geometry.clip_span + 1)) + steps, 0)
        boundary = int(rng.integers(1, geometry.clip_frames))
        length = int(rng.integers(self.min_jump_frames, geometry.window_frames - geometry.clip_span + 1))
        jump = length if rng.integers(2) else -length
        frames = steps + jump * (np.arange(geometry.clip_frames) >= boundary)
        low, high = int(frames.min()), int(frames.max())
        return one_clip(frames + int(rng.integers(-low, geometry.window_frames - high)), boundary)

    def without_signal(self, sample: ClipSample, geometry: ClipGeometry) -> ClipSample:
        """The jump undone: both parts of a spliced clip go on from one another."""
        first = np.minimum(sample.frames[:, :1], geometry.window_frames - geometry.clip_span)
        return sample._replace(frames=first + geometry.stride_frames * np.arange(geometry.clip_frames))

    def head(self, feature_dim: int, clip_frames: int) -> nn.Module:
        """Two detection logits, then one logit a boundary; see `SpliceHead`."""
        return networks.SpliceHead(feature_dim, clip_frames)

    def loss(self, output: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Detection and localisation cross-entropy per clip; the latter on spliced clips only.

        Localisation is divided by the expected share of spliced clips (a half), not by the count in the batch: then
        the mean over processes is the mean over their clips, however the spliced ones fall.
        """
        spliced = labels > 0
        detection = networks.cross_entropy(output[:, :2], spliced.long())
        boundaries = networks.cross_entropy(output[:, 2:], (labels - 1).clamp(min=0))
        localisation = 2 * boundaries * spliced
        return {
            "loss": detection + self.localisation_weight * localisation,
            "detection": detection,
            "localisation": localisation,
        }

    def correct(self, output: Tensor, labels: Tensor) -> Tensor:
        """Is splice or none right? (Where it lies is not counted.)"""
        return output[:, :2].argmax(dim=1) == (labels > 0).long()
