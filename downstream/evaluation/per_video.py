"""A CSV line a video."""

from __future__ import annotations

import math

import numpy as np

from downstream.evaluation.curves import roc_auc
from downstream.evaluation.ground_truth import LabelledVideo
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.temporal_evaluation import TemporalEvaluation
from downstream.evaluation.temporal_metrics import events_of
from pretrain.tables import table_line

PER_VIDEO_COLUMNS = (
    *("name", "label", "class_name", "frames", "anomalous_frames"),
    *("max_score", "mean_score", "auc", "events", "found_share", "false_share"),
)
"""The last two: shares of the anomalous and of the normal frames at or over the threshold."""


def per_video_csv(evaluation: TemporalEvaluation) -> str:
    """A line a video: its length, its scores and what the threshold makes of it, each the mean over seeds."""
    lines = [table_line(PER_VIDEO_COLUMNS)]
    for seeds in zip(*evaluation.videos, strict=True):
        video = seeds[0]
        values = np.mean([_video_values(own, evaluation.settings) for own in seeds], axis=0)
        cells = ["" if math.isnan(value) else f"{value:.6g}" for value in values]
        counts = [video.frames, int(video.positive.sum())]
        lines.append(table_line([video.name, video.label, video.class_name or "", *counts, *cells]))
    return "".join(lines)


def _video_values(video: LabelledVideo, settings: EvaluationSettings) -> list[float]:
    lengths = video.positive + video.negative
    over = video.scores >= settings.threshold
    return [
        float(video.scores.max()),
        float((video.scores * lengths).sum() / lengths.sum()),
        roc_auc(video.scores, video.positive, video.negative),
        float(len(events_of(video, settings))),
        _share(int(video.positive[over].sum()), int(video.positive.sum())),
        _share(int(video.negative[over].sum()), int(video.negative.sum())),
    ]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
