"""The table of metrics: what is computed stands in it, what stands in it is computed, and names are found in it."""

from __future__ import annotations

import numpy as np
import pytest

from downstream.ablation.config import COMPARABLE
from downstream.ablation.tables import COLUMNS, WITH_INTERVAL
from downstream.evaluation.ground_truth import align
from downstream.evaluation.metrics import METRICS, Kind, compute_metrics, metric_of, title_of
from downstream.evaluation.operating_curve import sweep_of
from downstream.evaluation.settings import EvaluationSettings, LocalisationSettings
from downstream.evaluation.spatial_metrics import WeightedMaps
from downstream.evaluation.spatial_report import WITHOUT_BOXES
from downstream.evaluation.spatial_truth import locate
from downstream.evaluation.tables import SUMMARY
from downstream.evaluation.temporal_metrics import WeightedVideos
from pretrain.errors import UserError
from tests.downstream.boxed_videos import random_set
from tests.downstream.evaluation.reference import random_test_set


@pytest.fixture
def weighted() -> dict[Kind, WeightedVideos | WeightedMaps]:
    videos, settings = align(*random_test_set(np.random.default_rng(0))).videos, EvaluationSettings()
    made = random_set(np.random.default_rng(0))
    located = locate(made.scores, made.videos)
    boxes = [made.predicted[video.name] for video in located]
    ones = [np.ones((1, len(part))) for part in (videos, located)]
    return {
        "temporal": WeightedVideos(videos=videos, settings=settings, weights=ones[0], sweep=sweep_of(videos, settings)),
        "spatial": WeightedMaps(videos=located, boxes=boxes, settings=LocalisationSettings(), weights=ones[1]),
    }


@pytest.mark.parametrize("kind", ["temporal", "spatial"])
def test_what_is_computed_stands_in_the_table_and_the_other_way_round(
    kind: Kind, weighted: dict[Kind, WeightedVideos | WeightedMaps]
) -> None:
    computed = compute_metrics(weighted[kind])
    named = {name for name, metric in METRICS.items() if metric.kind == kind}
    assert {metric_of(name).name for name in computed} == named
    for name in named:
        own = METRICS[name].computed_by(weighted[kind])
        assert name in {metric_of(other).name for other in own}, name
    titles = [title_of(name) for name in computed]
    assert len(set(titles)) == len(titles)


def test_names_with_parameters_are_found_and_others_refused() -> None:
    assert title_of("recall_at_fpr_0.1") == "recall at FPR 0.1"
    assert title_of("found_at_alarms_24") == "found at false alarms per hour 24"
    assert title_of("class_auc/frame_auc_x") == "AUC of frame_auc_x"
    assert title_of("recall_iou_0.3") == "box recall at IoU 0.3"
    assert metric_of("event_recall_iou_0.5").name == "event_recall_iou"
    assert metric_of("pixel_auc_abnormal").name == "pixel_auc_abnormal"
    for name in ("recall_iou", "frame_auc_1", "class_auc"):
        with pytest.raises(UserError, match=f"there is no metric '{name}'; did you mean"):
            metric_of(name)


def test_what_chooses_metrics_chooses_from_the_table() -> None:
    for name in (*SUMMARY, *WITHOUT_BOXES, *COLUMNS, *WITH_INTERVAL, *COMPARABLE):
        assert metric_of(name)
    assert set(WITH_INTERVAL) <= set(COLUMNS) <= set(COMPARABLE)
    assert {metric.chance for metric in METRICS.values() if metric.chance} <= set(METRICS)


def test_lower_is_better_of_what_alarms_falsely_alone() -> None:
    lower = {name for name, metric in METRICS.items() if metric.lower_is_better}
    assert lower == {name for name in METRICS if name.startswith("false_alarm")}
