"""Which detector of a run is kept: judged by the labels that validation videos have, those of whole videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from downstream.detector.inference import video_score
from downstream.evaluation.curves import roc_auc
from downstream.scores.video_scores import VideoScores
from pretrain.data.catalogue import Catalogue


@dataclass(frozen=True)
class Validation:
    """How a detector tells validation videos apart."""

    video_auc: float
    """Of the videos' scores against their labels."""
    loss: float
    """Cross-entropy of the videos' scores."""
    threshold: float
    """The video score that parts the classes best (Youden, 1950)."""
    step: int
    """After so many steps of training."""

    def is_better_than(self, other: Validation) -> bool:
        """A higher AUC; of equal ones the lower loss."""
        return (self.video_auc, -self.loss) > (other.video_auc, -other.loss)

    def metrics(self) -> dict[str, float]:
        """For the log."""
        return {name: value for name, value in self.as_json().items() if name != "step"}

    def as_json(self) -> dict[str, Any]:
        """For cards and summaries."""
        return dataclasses.asdict(self)


def validate(scored: Sequence[VideoScores], videos: Catalogue, step: int) -> Validation:
    """Frames of training videos have no labels, so a detector is judged by what is known: the video's."""
    scores = np.array([video_score(video.scores) for video in scored])
    labels = np.array([videos.by_name(video.name).label for video in scored], np.int64)
    safe = np.clip(scores, 1e-6, 1 - 1e-6)
    loss = -(labels * np.log(safe) + (1 - labels) * np.log(1 - safe)).mean()
    cuts = np.unique(scores)
    hits = [((scores >= cut) * labels).sum() / labels.sum() for cut in cuts]
    alarms = [((scores >= cut) * (1 - labels)).sum() / (1 - labels).sum() for cut in cuts]
    best = int(np.argmax(np.array(hits) - np.array(alarms)))
    below = cuts[best - 1] if best else 0.0
    return Validation(
        video_auc=float(roc_auc(scores, labels, 1 - labels)),
        loss=float(loss),
        threshold=float((cuts[best] + below) / 2),
        step=step,
    )


def with_threshold_of(selected: Validation, scored: Sequence[VideoScores], videos: Catalogue) -> Validation:
    """As it was selected, with the threshold that these scores of the validation videos ask for."""
    return dataclasses.replace(selected, threshold=validate(scored, videos, selected.step).threshold)
