"""What a pretext task is: it draws frames of a window, and the label follows from how it drew them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class ClipGeometry:
    """The room a task draws in: a window of consecutive frames, and the clips a backbone wants."""

    window_frames: int
    """Frames in the window; indices that tasks return lie in `[0, window_frames)`."""
    clip_frames: int
    """Frames in a clip (the backbone's)."""
    stride_frames: int
    """Distance between neighbouring frames of a clip at normal speed (the backbone's)."""

    @property
    def clip_span(self) -> int:
        """Frames from the first to the last of a clip at normal speed, both included."""
        return (self.clip_frames - 1) * self.stride_frames + 1


class ClipSample(NamedTuple):
    """What a task draws from one window: which frames, in which order, and what they are."""

    frames: np.ndarray
    """int64 (clips, clip_frames), indices into the window; as many clips as the task's `clips_per_window`."""
    labels: np.ndarray
    """int64 (clips,)."""


def one_clip(frames: np.ndarray, label: int) -> ClipSample:
    """The sample of a task that draws a single clip: `frames` (clip_frames,)."""
    return ClipSample(frames[np.newaxis], np.array([label]))


@runtime_checkable
class PretextTask(Protocol):
    """A self-supervised task: a frozen dataclass whose fields are its configuration.

    `sample` is pure integer arithmetic on a passed-in generator: no I/O, no torch. `head` maps the backbone's feature
    map `(clips, dim, time, height, width)` to what `loss` wants. Losses come per clip, so that a clip can be left out.
    What needs PyTorch is taken from `pretext_tasks.networks`: a task's file is read for `--help` too.
    """

    @property
    def weight(self) -> float:
        """Weight of the task's loss in the objective; 0 switches the task off."""
        ...

    @property
    def num_labels(self) -> int:
        """How many classes accuracy is counted over; chance is one in so many."""
        ...

    @property
    def clips_per_window(self) -> int:
        """Clips that `sample` draws from a window."""
        ...

    def min_window(self, clip_frames: int, stride_frames: int) -> int:
        """The shortest window, in frames, in which the task can be posed. ValueError for an impossible geometry."""
        ...

    def sample(self, geometry: ClipGeometry, rng: np.random.Generator, label: int | None = None) -> ClipSample:
        """Draw the clips of a window. With `label` (in `[0, num_labels)`) of that class, else classes are equally
        likely; a task that draws all its classes from every window pays no heed to it."""
        ...

    def without_signal(self, sample: ClipSample, geometry: ClipGeometry) -> ClipSample:
        """The control: the same labels on clips from which the signal is taken away, and nothing else."""
        ...

    def head(self, feature_dim: int, clip_frames: int) -> nn.Module:
        """A fresh head; called with the feature map `(clips, dim, time, height, width)`."""
        ...

    def loss(self, output: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """`loss` and its named parts, each `(clips,)`, from the head's output and the labels `(clips,)`."""
        ...

    def correct(self, output: Tensor, labels: Tensor) -> Tensor:
        """bool `(clips,)`: is the class right?"""
        ...


def require(condition: bool, message: str) -> None:
    """ValueError with `message` unless `condition`: a task's configuration does not fit."""
    if not condition:
        raise ValueError(message)
