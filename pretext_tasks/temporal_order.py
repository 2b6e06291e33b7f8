"""Temporal order verification: do the segments of this clip stand in the order in which they happened?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pretext_tasks import networks
from pretext_tasks.base import ClipGeometry, ClipSample, one_clip, require

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class TemporalOrder:
    """A clip is made of `segments` runs of frames with a gap between neighbours; half of the clips are permuted.

        window    ...aaa.....bbb...ccc........ddd..     label 0: aaa bbb ccc ddd
                                                        label 1: bbb aaa ddd ccc   (frames run forward inside a segment)

    Shortcuts closed: gaps are drawn alike in both classes, so that a seam alone says nothing (without gaps in the
    ordered class the task collapses into abrupt-change detection); the permutation is neither the identity nor the
    reversal, so that it is not solved by the arrow of time of the whole clip; all frames come from one window.
    After Shuffle & Learn (Misra 2016) and OPN (Lee 2017); segments instead of single frames are our definition.
    """

    weight: float = 1.0
    """Weight of the task's loss; 0 switches the task off."""
    segments: int = 4
    """Segments per clip, 3 or 4; the clip's frames are shared out evenly (the first places take the remainder)."""
    min_gap_frames: int = 4
    """Fewest frames left out between neighbouring segments."""

    num_labels = 2
    clips_per_window = 1

    def __post_init__(self) -> None:
        require(self.segments in (3, 4), f"tasks.temporal_order.segments is {self.segments}; it must be 3 or 4")
        require(
            self.min_gap_frames >= 1,
            f"tasks.temporal_order.min_gap_frames is {self.min_gap_frames}; it must be at least 1",
        )

    def min_window(self, clip_frames: int, stride_frames: int) -> int:
        """All segments, the smallest gaps, and one more frame a gap so that there is something to draw."""
        spans = (self._segment_lengths(clip_frames) - 1) * stride_frames + 1
        return int(spans.sum()) + (self.segments - 1) * (self.min_gap_frames + 1)

    def sample(self, geometry: ClipGeometry, rng: np.random.Generator, label: int | None = None) -> ClipSample:
        """Frames of a clip; label 0 = in order, 1 = permuted."""
        label = int(rng.integers(2)) if label is None else label
        order = self._permutation(rng) if label else np.arange(self.segments)
        # lengths belong to places in the clip, not to segments: else uneven lengths would show the permutation
        lengths = self._segment_lengths(geometry.clip_frames)[np.argsort(order)]
        spans = (lengths - 1) * geometry.stride_frames + 1
        slack = geometry.window_frames - int(spans.sum()) - (self.segments - 1) * self.min_gap_frames
        # slack is shared out evenly at random over the gaps and both ends of the window
        cuts = np.sort(rng.integers(0, slack + 1, size=self.segments))
        starts = cuts + np.concatenate([[0], np.cumsum(spans[:-1] + self.min_gap_frames)])
        segments = [
            start + geometry.stride_frames * np.arange(length) for start, length in zip(starts, lengths, strict=True)
        ]
        return one_clip(np.concatenate([segments[index] for index in order]), label)

    def without_signal(self, sample: ClipSample, geometry: ClipGeometry) -> ClipSample:
        """Every clip in order, whatever its label says."""
        return sample._replace(frames=np.sort(sample.frames, axis=1))

    def head(self, feature_dim: int, clip_frames: int) -> nn.Module:
        """Two logits: in order, permuted."""
        return networks.PooledClassifier(feature_dim, 2)

    def loss(self, output: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Cross-entropy per clip."""
        return {"loss": networks.cross_entropy(output, labels)}

    def correct(self, output: Tensor, labels: Tensor) -> Tensor:
        """Is the order judged right?"""
        return output.argmax(dim=1) == labels

    def _segment_lengths(self, clip_frames: int) -> np.ndarray:
        require(
            clip_frames >= 2 * self.segments,
            f"tasks.temporal_order.segments is {self.segments}, but clips of {clip_frames} frames hold at most "
            f"{clip_frames // 2} segments of 2 frames: raise backbone.clip_frames or set tasks.temporal_order.weight "
            "to 0",
        )
        base, extra = divmod(clip_frames, self.segments)
        return np.array([base + (index < extra) for index in range(self.segments)])

    def _permutation(self, rng: np.random.Generator) -> np.ndarray:
        ordered = np.arange(self.segments)
        while True:
            order = rng.permutation(self.segments)
            if not (np.array_equal(order, ordered) or np.array_equal(order, ordered[::-1])):
                return order
