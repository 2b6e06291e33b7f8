"""Labels of frames for a ceiling: which share of the frames of a snippet, or of a segment, is anomalous.

Read for `ceiling` alone. Which frames a snippet stands for is the evaluation's rule, with `hold` at the end of a video.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from downstream.evaluation.choose_videos import missing_ground_truth, rehearse_evaluation
from downstream.evaluation.ground_truth import label_snippets
from downstream.features.feature_spec import Grid, VideoEntry
from downstream.scores.video_scores import make_scores
from pretrain.data.catalogue import Catalogue, Video
from pretrain.errors import UserError

TAIL = "hold"
"""Fixed: the rule that an evaluation is asked for may change between a run and the one that goes on from it."""


class FrameCounts(NamedTuple):
    """Frames of each snippet of a video, int64 (S,)."""

    anomalous: NDArray[np.int64]
    all: NDArray[np.int64]

    def shares(self) -> NDArray[np.float32]:
        """float32 (S,) in [0, 1]: anomalous ones among the frames of each snippet."""
        return (self.anomalous / self.all).astype(np.float32)

    def of_parts(self, edges: NDArray[np.int64]) -> FrameCounts:
        """Those of each part of the video, snippets `[edges[i], edges[i + 1])`, none of them empty."""
        return FrameCounts(np.add.reduceat(self.anomalous, edges[:-1]), np.add.reduceat(self.all, edges[:-1]))


def frame_counts(entry: VideoEntry, video: Video) -> FrameCounts:
    """Of a video whose features and spans fit each other (`check_frame_labels`)."""
    blank = make_scores(video.name, np.zeros(entry.snippets), entry.edges_with(video.num_frames))
    labelled = label_snippets(blank, video, TAIL)
    return FrameCounts(labelled.positive, labelled.positive + labelled.negative)


def check_frame_labels(entries: Mapping[str, VideoEntry], training: Catalogue, grid: Grid | None) -> None:
    """UserError where a ceiling cannot be trained: of cells, without spans, or with spans that do not fit the features.

    `training`: training and validation videos, all with labels.
    """
    if grid is not None:
        raise UserError(
            f"ceiling is on, but the features are of {grid[0]}x{grid[1]} cells: labels of frames say when, not where, "
            "and would call every cell of an anomalous frame anomalous. Train it on features of whole pictures, or "
            "leave ceiling out"
        )
    missing = missing_ground_truth(training)
    if missing:
        raise UserError(
            f"ceiling is on, which trains on labels of frames. Of the training videos, {missing}. The catalogues json, "
            "csv and ucf_crime2local have spans of training videos where their files hold them; ucf_crime, "
            "xd_violence, shanghaitech and folder never. Add the spans, or leave ceiling out"
        )
    try:
        rehearse_evaluation(entries, training, TAIL)
    except UserError as error:
        raise UserError(f"ceiling, on the training videos: {error}") from error


def describe_frame_labels(videos: Sequence[Video]) -> str:
    """For a run's notes of what it is trained on: the hash of their spans."""
    text = json.dumps([[video.name, video.num_frames, video.spans] for video in videos])
    return f"{hashlib.sha256(text.encode()).hexdigest()[:16]} (hash of the spans of all training videos)"
