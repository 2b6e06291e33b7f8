"""What fine-tuning stands on: where bags come from, and how whole videos are scored by what they trained.

A `TrainingSource` is opened and checked once, before anything is trained; it gives a `SeedTraining` for each seed.
Stored features (`feature_source`) and videos (`end_to_end/video_source`) are the two there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from accelerate import Accelerator
from torch import Tensor, nn

from downstream.scores.video_scores import VideoScores
from pretrain.data.catalogue import Catalogue


class Batch(NamedTuple):
    """Training bags of one step, or of one process's share of it, on the device."""

    inputs: Tensor
    """What the model takes. Of features float32 (B, T, D), of cells (B, T * cells, D), snippet by snippet, row by row;
    of videos the normalised clips (N, clips, 3, T, H, W) of the N snippets that the mask marks."""
    mask: Tensor
    """bool (B, T): where there is an instance; of features of cells, as the first two dimensions of `inputs`."""
    labels: Tensor
    """float32 (B,)."""
    names: list[str]
    """Of the videos."""
    instance_labels: Tensor | None = None
    """float32 (B, T): the share of each instance's frames that is anomalous, 0 on padding; of a ceiling and of
    self-training alone."""
    classes: Tensor | None = None
    """float32 (B, C): 1 for each class of a video, the normal one first; of terms that want it alone."""

    def more(self) -> dict[str, Tensor]:
        """What the model takes by name, where there is any."""
        named = {"instance_labels": self.instance_labels, "classes": self.classes}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class TrainingVideos:
    """The videos of a run, by what they are for."""

    train: Catalogue
    validation: Catalogue
    """Held out of the training videos: they select the detector."""
    test: Catalogue
    """Scored once, at the end; with those that have no features, of which whoever scores them says so by name."""
    left_out: tuple[str, ...] = ()
    """Listed, but without features or unreadable."""
    taught_on: tuple[str, ...] = ()
    """Names of what a teacher has seen, which may be other videos."""


Details = Callable[[Sequence[VideoScores]], Mapping[str, Any]]
"""From validation videos' scores to what a detector's card says beside the features that it takes."""


class SeedTraining(Protocol):
    """One seed's model in training: its bags, its weights, and scores of whole videos by it."""

    @property
    def model(self) -> nn.Module:
        """What DDP wraps and training states hold. Takes `inputs, mask, labels, step`, gives the loss and its parts.

        Where batches have `instance_labels` or `classes`, it takes them by that name.
        """

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Videos that turned out to be unreadable on the way, and why: they have no scores."""

    def lr_shares(self) -> Sequence[tuple[nn.Module, float]]:
        """The parts of the model that train, each with its share of the learning rate."""

    def batch(self, step: int) -> Batch:
        """This process's bags of a step."""

    def after_step(self, step: int) -> None:
        """Called when the optimiser has moved the weights."""

    def score(self, videos: Catalogue) -> list[VideoScores]:
        """Scores of whole videos by the weights as they are; on all processes."""

    def save(self, folder: Path, details: Mapping[str, Any]) -> None:
        """Write the detector (and what it cannot do without) atomically, with `details` on its card."""

    def compose(self, folder: Path, videos: Catalogue, details: Details) -> None:
        """Fit how the detector saved in `folder` composes scores to validation videos; save it again, with `details` of
        their scores on its card. Called once, at the end, by the main process."""

    def score_saved(self, folder: Path, videos: Catalogue) -> list[VideoScores]:
        """Scores of whole videos by the detector that was saved in `folder`; on all processes."""


class TrainingSource(Protocol):
    """What a run is trained on, opened and checked."""

    @property
    def videos(self) -> TrainingVideos:
        """Training, validation and test videos."""

    @property
    def wants_one_thread(self) -> bool:
        """Whether a step on a CPU is too small to be shared out among threads."""

    def describe(self) -> str:
        """What it is, in words."""

    def describe_bags(self) -> str:
        """How long a bag is, in words."""

    def fingerprint(self) -> Mapping[str, str]:
        """What the features are, by hash: a run does not go on with others."""

    def seed_training(self, seed: int, accelerator: Accelerator) -> SeedTraining:
        """The model and bags of one seed, on the accelerator's device."""
