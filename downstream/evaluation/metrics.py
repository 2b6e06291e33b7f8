"""Every metric, named once: what it is, which direction is better, who computes it.

A metric is a function in `temporal_metrics` or `spatial_metrics` and a line here. Tables, reports and ablations choose
among these names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from downstream.evaluation import spatial_metrics, temporal_metrics
from downstream.evaluation.spatial_metrics import WeightedMaps
from downstream.evaluation.temporal_metrics import WeightedVideos
from downstream.evaluation.weighted_auc import Values
from pretrain.errors import UserError, nearest

Kind = Literal["temporal", "spatial"]
Separator = Literal["", "_", "/"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What there is to know of a metric."""

    name: str
    """Without its parameter: `recall_at_fpr` of `recall_at_fpr_0.1`, `class_auc` of `class_auc/Abuse`."""
    title: str
    meaning: str = ""
    """A half sentence."""
    kind: Kind
    """When in the video, or where in the picture."""
    computed_by: Callable[[Any], Values]
    """Of a `WeightedVideos` or `WeightedMaps`; several metrics may share a function."""
    short_title: str = ""
    """For tables with many columns. Default: the title."""
    lower_is_better: bool = False
    separator: Separator = ""
    """What stands between the name and its parameter; empty: it takes none."""
    at_threshold: bool = False
    """Of what scores at least the evaluation's threshold."""
    rank: Literal["first", "later", "tables"] = "later"
    """Where a report shows it; `tables`: a first look does not need it, the run's own tables have it."""
    chance: str = ""
    """The metric that says what chance reaches; in the terminal it stands beside this one, with no line of its own."""
    is_compared: bool = True
    """Whether a comparison of two methods shows it unless asked for others."""
    digits: int = 3
    """After the point."""

    @property
    def explanation(self) -> str:
        """What it is, and which direction is better where that is not up."""
        return "; ".join(filter(None, (self.meaning, "lower is better" * self.lower_is_better)))


_temporal, _spatial = partial(Metric, kind="temporal"), partial(Metric, kind="spatial")
_TEMPORAL = (
    _temporal(
        name="frame_auc",
        title="frame AUC",
        meaning="all frames of all videos on one ROC curve",
        computed_by=temporal_metrics.frame_auc,
        rank="first",
    ),
    _temporal(
        name="frame_ap",
        title="frame AP",
        meaning="step-wise average precision of all frames",
        computed_by=temporal_metrics.frame_precision,
        rank="first",
    ),
    _temporal(
        name="frame_ap_trapezoid",
        title="frame AP, trapezoid",
        meaning="area under the PR curve by trapezoids: optimistic",
        computed_by=temporal_metrics.frame_precision,
        rank="tables",
    ),
    _temporal(
        name="recall_at_fpr",
        title="recall at FPR",
        meaning="share of anomalous frames found at so many false positives",
        computed_by=temporal_metrics.frame_precision,
        separator="_",
    ),
    _temporal(
        name="abnormal_auc",
        title="AUC, abnormal videos",
        short_title="abnormal AUC",
        meaning="frames of abnormal videos alone",
        computed_by=temporal_metrics.abnormal_auc,
        rank="first",
    ),
    _temporal(
        name="abnormal_ap",
        title="AP, abnormal videos",
        short_title="abnormal AP",
        meaning="step-wise, frames of abnormal videos alone",
        computed_by=temporal_metrics.abnormal_precision,
    ),
    _temporal(
        name="abnormal_ap_trapezoid",
        title="AP trapezoid, abnormal videos",
        meaning="frames of abnormal videos alone",
        computed_by=temporal_metrics.abnormal_precision,
        rank="tables",
    ),
    _temporal(
        name="per_video_auc",
        title="mean per-video AUC",
        short_title="per-video AUC",
        meaning="AUC inside each video that holds both kinds of frames, averaged",
        computed_by=temporal_metrics.per_video_auc,
    ),
    _temporal(
        name="video_auc",
        title="video AUC",
        meaning="highest score of a video against its label",
        computed_by=temporal_metrics.video_auc,
        rank="first",
    ),
    _temporal(
        name="false_alarm_rate",
        title="false-alarm rate",
        meaning="share of normal videos' frames at or over the threshold",
        computed_by=temporal_metrics.false_alarms,
        lower_is_better=True,
        at_threshold=True,
    ),
    _temporal(
        name="false_alarms_per_hour",
        title="false alarms per hour",
        meaning="events on normal videos, per hour of normal video",
        computed_by=temporal_metrics.false_alarms,
        lower_is_better=True,
        at_threshold=True,
        digits=1,
    ),
    _temporal(
        name="found_at_alarms",
        title="found at false alarms per hour",
        meaning="share of annotated anomalies that events touch, at the lowest threshold at which, and at every higher "
        "one, false alarms are no more",
        computed_by=temporal_metrics.found_at_alarms,
        separator="_",
    ),
    _temporal(
        name="event_f1_iou",
        title="event F1 at IoU",
        meaning="greedy one-to-one matching with annotated spans, over all videos",
        computed_by=temporal_metrics.event_matches,
        separator="_",
        at_threshold=True,
    ),
    _temporal(
        name="event_precision_iou",
        title="event precision at IoU",
        computed_by=temporal_metrics.event_matches,
        separator="_",
        at_threshold=True,
    ),
    _temporal(
        name="event_recall_iou",
        title="event recall at IoU",
        computed_by=temporal_metrics.event_matches,
        separator="_",
        at_threshold=True,
    ),
    _temporal(
        name="class_auc",
        title="AUC of",
        meaning="anomalous frames of the class against its own and all normal videos' normal frames",
        computed_by=temporal_metrics.class_aucs,
        separator="/",
        rank="tables",
        is_compared=False,
    ),
)
_SPATIAL = (
    _spatial(
        name="pixel_auc",
        title="pixel AUC",
        meaning="all pixels of all frames on one ROC curve; unseen ones score lowest",
        computed_by=spatial_metrics.pixel_aucs,
        rank="first",
    ),
    _spatial(
        name="pixel_auc_abnormal",
        title="pixel AUC, abnormal videos",
        meaning="pixels of abnormal videos alone",
        computed_by=spatial_metrics.pixel_aucs,
    ),
    _spatial(
        name="cell_auc",
        title="cell AUC",
        meaning="a cell is anomalous in a frame where a box touches it",
        computed_by=spatial_metrics.cell_aucs,
    ),
    _spatial(
        name="cell_auc_abnormal",
        title="cell AUC, abnormal videos",
        meaning="cells of abnormal videos alone",
        computed_by=spatial_metrics.cell_aucs,
    ),
    _spatial(
        name="pointing",
        title="pointing",
        meaning="share of annotated frames whose hottest cell has its centre in a box",
        computed_by=spatial_metrics.annotated_frames,
        rank="first",
        chance="pointing_chance",
    ),
    _spatial(
        name="pointing_chance",
        title="pointing by chance",
        meaning="the same of a cell drawn at random",
        computed_by=spatial_metrics.annotated_frames,
        is_compared=False,
    ),
    _spatial(
        name="pointing_per_video",
        title="pointing per video",
        meaning="pointing inside each video, averaged over videos",
        computed_by=spatial_metrics.annotated_frames,
    ),
    _spatial(
        name="mean_iou",
        title="mean IoU",
        meaning="best predicted box and the annotated box it meets most; 0 without a prediction",
        computed_by=spatial_metrics.annotated_frames,
    ),
    _spatial(
        name="tiou",
        title="TIoU",
        meaning="mean IoU of the annotated frames that score at least the threshold",
        computed_by=spatial_metrics.annotated_frames,
    ),
    _spatial(
        name="tiou_frames",
        title="frames of TIoU",
        meaning="the share of annotated frames that do",
        computed_by=spatial_metrics.annotated_frames,
    ),
    _spatial(
        name="recall_iou",
        title="box recall at IoU",
        meaning="share of annotated boxes that some predicted box meets so closely",
        computed_by=spatial_metrics.annotated_frames,
        separator="_",
    ),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in (*_TEMPORAL, *_SPATIAL)}
"""Name without parameter -> the metric; the first that matter come first."""


def metric_of(name: str) -> Metric:
    """`recall_at_fpr_0.1` -> recall_at_fpr, `class_auc/Abuse` -> class_auc. UserError where there is no such metric."""
    if name in METRICS and not METRICS[name].separator:
        return METRICS[name]
    for metric in METRICS.values():
        if metric.separator and name.startswith(metric.name + metric.separator):
            return metric
    raise UserError(f"there is no metric '{name}'{nearest(name, METRICS)}; known: {', '.join(METRICS)}")


def title_of(name: str) -> str:
    """`recall_at_fpr_0.1` -> `recall at FPR 0.1`, `class_auc/Abuse` -> `AUC of Abuse`."""
    metric = metric_of(name)
    parameter = name.removeprefix(metric.name + metric.separator)
    return f"{metric.title} {parameter}" if parameter else metric.title


def compute_metrics(test: WeightedVideos | WeightedMaps) -> Values:
    """Every metric that there is of scores of frames, or of maps: name -> (draws,); NaN where it is not defined."""
    kind = "temporal" if isinstance(test, WeightedVideos) else "spatial"
    functions = dict.fromkeys(metric.computed_by for metric in METRICS.values() if metric.kind == kind)
    return {name: values for compute in functions for name, values in compute(test).items()}
