"""Speed prediction: how fast is this clip played?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pretext_tasks import networks
from pretext_tasks.base import ClipGeometry, ClipSample, one_clip, require

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Speed:
    """A clip takes every `strides[label]`-th frame of the window.

        window    abcdefghijklmnopqrstuvwxyz...
        label 0          mnop                           stride 1
        label 1         k m o q                         stride 2
        label 2      g   k   o   s                      stride 4

    Shortcuts closed: every stride gives the same number of frames of the same window, and the clip's *centre* is drawn
    from the same distribution for every stride (with free starts, long strides would sit in the middle of the window
    and short ones anywhere); colour jitter and noise per frame (see `pretrain.data.transforms`) hide how similar
    neighbouring frames are by compression alone.
    After SpeedNet (Benaim 2020) and pace prediction (Wang 2020: strides 1 to 4, 16 frames); strides up to 8 are ours.
    """

    weight: float = 1.0
    """Weight of the task's loss; 0 switches the task off."""
    strides: tuple[int, ...] = (1, 2, 4, 8)
    """The playback strides to tell apart, in source frames, ascending."""

    clips_per_window = 1

    def __post_init__(self) -> None:
        ascending = all(a < b for a, b in zip(self.strides, self.strides[1:], strict=False))
        require(
            len(self.strides) >= 2 and min(self.strides) >= 1 and ascending,
            f"tasks.speed.strides is {self.strides}; it must hold at least two ascending strides of 1 or more",
        )

    @property
    def num_labels(self) -> int:
        """One class a stride."""
        return len(self.strides)

    def min_window(self, clip_frames: int, stride_frames: int) -> int:
        """The span of the longest stride."""
        return (clip_frames - 1) * self.strides[-1] + 1

    def sample(self, geometry: ClipGeometry, rng: np.random.Generator, label: int | None = None) -> ClipSample:
        """Frames of a clip; the label is the index of its stride."""
        label = int(rng.integers(self.num_labels)) if label is None else label
        longest = self.min_window(geometry.clip_frames, geometry.stride_frames)
        start_of_longest = int(rng.integers(geometry.window_frames - longest + 1))
        span = (geometry.clip_frames - 1) * self.strides[label] + 1
        start = start_of_longest + (longest - span) // 2
        return one_clip(start + self.strides[label] * np.arange(geometry.clip_frames), label)

    def without_signal(self, sample: ClipSample, geometry: ClipGeometry) -> ClipSample:
        """Every clip at the shortest stride, about the same centre, whatever its label says."""
        steps = self.strides[0] * np.arange(geometry.clip_frames)
        first = (sample.frames[:, :1] + sample.frames[:, -1:] - steps[-1]) // 2
        return sample._replace(frames=first + steps)

    def head(self, feature_dim: int, clip_frames: int) -> nn.Module:
        """One logit a stride."""
        return networks.PooledClassifier(feature_dim, self.num_labels)

    def loss(self, output: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Cross-entropy per clip."""
        return {"loss": networks.cross_entropy(output, labels)}

    def correct(self, output: Tensor, labels: Tensor) -> Tensor:
        """Is the stride right?"""
        return output.argmax(dim=1) == labels
