"""Which detector of a run is kept: judged by the labels that held-out training videos have, those of whole videos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from downstream.detector.inference import video_score
from downstream.evaluation.curves import roc_auc
from downstream.scores.video_scores import VideoScores
from pretrain.data.catalogue import Catalogue


def held_out_figures(scored: Sequence[VideoScores], videos: Catalogue) -> dict[str, float]:
    """Video-level AUC, cross-entropy of the video scores, and the threshold that parts the classes best (Youden 1950).

    Frames of training videos have no labels, so a detector is selected by what is known: the video's.
    """
    scores = np.array([video_score(item.scores) for item in scored])
    labels = np.array([videos.by_name(item.name).label for item in scored], np.int64)
    safe = np.clip(scores, 1e-6, 1 - 1e-6)
    loss = -(labels * np.log(safe) + (1 - labels) * np.log(1 - safe)).mean()
    cuts = np.unique(scores)
    hits = [((scores >= cut) * labels).sum() / labels.sum() for cut in cuts]
    alarms = [((scores >= cut) * (1 - labels)).sum() / (1 - labels).sum() for cut in cuts]
    best = int(np.argmax(np.array(hits) - np.array(alarms)))
    below = cuts[best - 1] if best else 0.0
    return {
        "video_auc": float(roc_auc(scores, labels, 1 - labels)),
        "loss": float(loss),
        "threshold": float((cuts[best] + below) / 2),
    }
