"""Arrow of time: is this clip played forward or backward?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pretext_tasks import networks
from pretext_tasks.base import ClipGeometry, ClipSample

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class ArrowOfTime:
    """A clip at normal speed, and its reverse.

        window    ..abcdefgh....     label 0: abcdefgh
                                     label 1: hgfedcba

    Every window gives both: what tells them apart is faint beside what tells two windows apart, and a pair differs in
    nothing else. (In single runs of one small network pairs gained little: 0.955 against 0.943.) Each clip is still
    judged alone.

    Shortcuts closed elsewhere, because they lie in the pixels: burnt-in clocks are cut away by `data.border_crop`,
    and windows in which nothing moves, which carry no signal, are drawn less often (`pretrain.data.motion`).
    After Pickup 2014 and Wei 2018.
    """

    weight: float = 1.0
    """Weight of the task's loss; 0 switches the task off."""

    num_labels = 2
    clips_per_window = 2

    def min_window(self, clip_frames: int, stride_frames: int) -> int:
        """One clip."""
        return (clip_frames - 1) * stride_frames + 1

    def sample(self, geometry: ClipGeometry, rng: np.random.Generator, label: int | None = None) -> ClipSample:
        """A clip and its reverse; label 0 = forward, 1 = backward. `label` changes nothing."""
        start = int(rng.integers(geometry.window_frames - geometry.clip_span + 1))
        frames = start + geometry.stride_frames * np.arange(geometry.clip_frames)
        return ClipSample(np.stack([frames, frames[::-1]]), np.array([0, 1]))

    def without_signal(self, sample: ClipSample, geometry: ClipGeometry) -> ClipSample:
        """Motion that is symmetric in time: the first half of each clip, there and back again."""
        forward = np.arange(geometry.clip_frames)
        return sample._replace(frames=sample.frames[:, np.minimum(forward, forward[::-1])])

    def head(self, feature_dim: int, clip_frames: int) -> nn.Module:
        """Two logits: forward, backward."""
        return networks.PooledClassifier(feature_dim, 2)

    def loss(self, output: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Cross-entropy per clip."""
        return {"loss": networks.cross_entropy(output, labels)}

    def correct(self, output: Tensor, labels: Tensor) -> Tensor:
        """Is the direction right?"""
        return output.argmax(dim=1) == labels
