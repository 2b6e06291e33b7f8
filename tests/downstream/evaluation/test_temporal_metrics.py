"""Every bootstrapped metric, against the plain definition on a list in which videos stand as often as they count."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstream.evaluation.bootstrap import draw_weights
from downstream.evaluation.ground_truth import LabelledVideo, align, label_snippets
from downstream.evaluation.metrics import compute_metrics
from downstream.evaluation.operating_curve import sweep_of
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.temporal_metrics import WeightedVideos, events_of, false_alarms, frame_precision
from downstream.events.matching import count_matches, count_touches
from downstream.scores.video_scores import make_scores
from pretrain.data.catalogue import Video
from tests.downstream.evaluation.reference import (
    pooled,
    random_test_set,
    slow_ap,
    slow_auc,
    slow_recall,
    slow_trapezoid,
)

SETTINGS = EvaluationSettings(max_fpr=(0.1, 0.4), iou=(0.2,), max_alarms_per_hour=(300, 2000))


def slow_found(videos: list[LabelledVideo], per_hour: float, levels: set[float]) -> float:
    """Every score as the threshold, from the highest down, until there are too many false alarms. `levels`: the scores
    of all videos, of those too that were not drawn: how far down events go hangs on the threshold."""
    hours, best = sum(v.frames for v in videos) / 25 / 3600, 0
    for threshold in sorted(levels, reverse=True):
        settings = dataclasses.replace(SETTINGS, threshold=threshold)
        found, false = np.sum([count_touches(events_of(v, settings), v.spans) for v in videos], axis=0)
        if false > per_hour * hours + 1e-6:
            break
        best = found
    return float(best / sum(len(v.spans) for v in videos))


def slow_metrics(videos: list[LabelledVideo], levels: set[float]) -> dict[str, float]:
    """Nothing but frames, loops and the definitions."""
    frames = pooled(videos)
    abnormal, normal = ([v for v in videos if v.label == label] for label in (1, 0))
    inside = [slow_auc(*pooled([v])) for v in abnormal if v.positive.any() and v.negative.any()]
    peaks = np.array([v.scores.max() for v in videos]), np.array([v.label for v in videos])
    events = [events_of(v, SETTINGS) for v in videos]
    hits = sum(count_matches(found, v.spans, 0.2) for found, v in zip(events, videos, strict=True))
    predicted, annotated = sum(map(len, events)), sum(len(v.spans) for v in videos)
    values = {
        "frame_auc": slow_auc(*frames),
        "frame_ap": slow_ap(*frames),
        "frame_ap_trapezoid": slow_trapezoid(*frames),
        "recall_at_fpr_0.1": slow_recall(*frames, 0.1),
        "recall_at_fpr_0.4": slow_recall(*frames, 0.4),
        "abnormal_auc": slow_auc(*pooled(abnormal)),
        "abnormal_ap": slow_ap(*pooled(abnormal)),
        "abnormal_ap_trapezoid": slow_trapezoid(*pooled(abnormal)),
        "per_video_auc": float(np.mean(inside)),
        "video_auc": slow_auc(*peaks),
        "false_alarm_rate": float((pooled(normal)[0] >= 0.5).mean()),
        "false_alarms_per_hour": sum(len(events_of(v, SETTINGS)) for v in normal)
        / (sum(v.frames for v in normal) / 25 / 3600),
        "event_f1_iou_0.2": 2 * hits / (predicted + annotated),
        "event_precision_iou_0.2": hits / predicted if predicted else float("nan"),
        "event_recall_iou_0.2": hits / annotated,
        **{f"found_at_alarms_{rate:g}": slow_found(videos, rate, levels) for rate in SETTINGS.max_alarms_per_hour},
    }
    for name in {str(v.class_name) for v in abnormal}:
        mine = [v for v in abnormal if v.class_name == name]
        values[f"class_auc/{name}"] = slow_auc(*pooled(mine + normal))
    return values


@given(st.integers(0, 10_000))
def test_every_metric_of_every_draw(seed: int) -> None:
    rng = np.random.default_rng(seed)
    videos = align(*random_test_set(rng)).videos
    draws = draw_weights([video.label for video in videos], 2, rng)
    weights = np.concatenate([np.ones((1, len(videos))), draws])
    sweep = sweep_of(videos, SETTINGS)
    found = compute_metrics(WeightedVideos(videos=videos, settings=SETTINGS, weights=weights, sweep=sweep))
    for row, counts in enumerate(weights.astype(int)):
        drawn = [video for video, count in zip(videos, counts, strict=True) for _ in range(count)]
        expected = slow_metrics(drawn, {float(score) for v in videos for score in v.scores})
        assert set(expected) <= set(found)
        for name, values in found.items():
            wanted = expected.get(name, float("nan"))  # a class that was not drawn has no value
            assert values[row] == pytest.approx(wanted, rel=1e-12, abs=1e-12, nan_ok=True), (name, row)


def test_recall_and_false_alarms_by_hand() -> None:
    # thresholds .9: 2 anomalous and 0 normal frames of the abnormal video over it; .5: 3 and 1; .1: 4 and 4
    video = Video("a", "", 1, "test", None, None, ((0, 3), (4, 5)), (), 8)
    scores = make_scores("a", [0.9, 0.5, 0.1], [0, 2, 4, 8])
    settings = EvaluationSettings(max_fpr=(0.2, 0.25, 0.9))
    test = WeightedVideos(videos=[label_snippets(scores, video)], settings=settings, weights=np.ones((1, 1)))
    recalls = [values[0] for name, values in frame_precision(test).items() if name.startswith("recall")]
    assert recalls == [0.5, 0.75, 0.75]
    normal = label_snippets(scores, Video("n", "", 0, "test", None, None, (), (), 8, 2.0))
    test = WeightedVideos(videos=[normal], settings=settings, weights=np.ones((1, 1)))
    # one event in 8 frames of half a second
    assert {name: values[0] for name, values in false_alarms(test).items()} == {
        "false_alarm_rate": 0.5,
        "false_alarms_per_hour": 900,
    }
