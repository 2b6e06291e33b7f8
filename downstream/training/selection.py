"""Which detector of a run is kept: judged by the labels that validation videos have, those of whole videos.

A ceiling alone is judged by those of their frames.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from downstream.detector.inference import video_score
from downstream.evaluation.curves import roc_auc
from downstream.evaluation.ground_truth import align
from downstream.scores.video_scores import VideoScores
from downstream.training.frame_labels import TAIL
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
    frame_auc: float | None = None
    """Of the frames of all videos together; of a ceiling, which it selects."""

    @property
    def auc(self) -> float:
        """What selects: of videos, of a ceiling of frames."""
        return self.video_auc if self.frame_auc is None else self.frame_auc

    def is_better_than(self, other: Validation) -> bool:
        """A higher AUC; of equal ones the lower loss."""
        return (self.auc, -self.loss) > (other.auc, -other.loss)

    def __str__(self) -> str:
        kind = "video" if self.frame_auc is None else "frame"
        return f"validation {kind} AUC {self.auc:.3f} (step {self.step})"

    def metrics(self) -> dict[str, float]:
        """For the log."""
        return {name: value for name, value in self.as_json().items() if name != "step"}

    def as_json(self) -> dict[str, Any]:
        """For cards and summaries."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


def validate(scored: Sequence[VideoScores], videos: Catalogue, step: int, ceiling: bool = False) -> Validation:
    """Frames of training videos have no labels, so a detector is judged by what is known: the video's.

    `ceiling`: they have, and it is judged by them as test videos will be. The threshold is the video's all the same.
    """
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
        frame_auc=_frame_auc(scored, videos) if ceiling else None,
    )


def with_threshold_of(selected: Validation, scored: Sequence[VideoScores], videos: Catalogue) -> Validation:
    """As it was selected, with the threshold that these scores of the validation videos ask for."""
    return dataclasses.replace(selected, threshold=validate(scored, videos, selected.step).threshold)


def _frame_auc(scored: Sequence[VideoScores], videos: Catalogue) -> float:
    labelled = align(scored, videos, TAIL).videos
    parts = [[getattr(video, name) for video in labelled] for name in ("scores", "positive", "negative")]
    return float(roc_auc(*map(np.concatenate, parts)))
