"""Mirror: is the second half of this clip the first half run back?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anomaly_pretext.plugins import ClipGeometry, ClipSample, one_clip


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """A clip at normal speed, or one that turns round in the middle."""

    weight: float = 0.0
    """Weight of the task's loss; 0 switches the task off."""

    num_labels = 2
    clips_per_window = 1

    def min_window(self, clip_frames, stride_frames):
        return (clip_frames - 1) * stride_frames + 1

    def sample(self, geometry: ClipGeometry, rng: np.random.Generator, label: int | None = None) -> ClipSample:
        label = int(rng.integers(2)) if label is None else label
        start = int(rng.integers(geometry.window_frames - geometry.clip_span + 1))
        places = np.arange(geometry.clip_frames)
        turned = np.minimum(places, geometry.clip_frames - 1 - places)
        return one_clip(start + geometry.stride_frames * (turned if label else places), label)

    def without_signal(self, sample: ClipSample, geometry: ClipGeometry) -> ClipSample:
        return sample._replace(frames=sample.frames[:, :1] + geometry.stride_frames * np.arange(geometry.clip_frames))

    def head(self, feature_dim, clip_frames):
        from anomaly_pretext.plugins import PooledClassifier

        return PooledClassifier(feature_dim, 2)

    def loss(self, output, labels):
        from torch.nn import functional

        return {"loss": functional.cross_entropy(output, labels, reduction="none")}

    def correct(self, output, labels):
        return output.argmax(1) == labels
