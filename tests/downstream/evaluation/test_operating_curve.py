"""The operators' curve: by hand, against other metrics at one threshold, over seeds, and as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from downstream.evaluation.operating_curve import MAX_POINTS, OperatingCurve, curve_of_json
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.temporal_evaluation import TemporalEvaluation, evaluate, evaluate_seeds
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.data.catalogue import Video
from tests.downstream.evaluation.reference import better, random_test_set

MINUTE = 60
"""Frames of a snippet below, one a second: two videos of 6 and 4 minutes are a sixth of an hour."""


def video(name: str, minutes: int, *anomalous: int) -> Video:
    spans = tuple((minute * MINUTE, (minute + 1) * MINUTE) for minute in anomalous)
    return Video(name, "", int(bool(spans)), "test", None, None, spans, (), minutes * MINUTE, 1.0)


VIDEOS = [video("a", 6, 1, 3), video("b", 4)]
LEVELS = ([0.1, 0.9, 0.1, 0.6, 0.1, 0.8], [0.7, 0.1, 0.5, 0.1])
"""Anomalies score .9 and .6; beside them lie .8, .7 and .5."""


def scored(*levels: list[float]) -> list[VideoScores]:
    return [make_scores(v.name, own, np.arange(len(own) + 1) * MINUTE) for v, own in zip(VIDEOS, levels, strict=True)]


def curve_of(evaluation: TemporalEvaluation) -> OperatingCurve:
    assert evaluation.operating_curve is not None
    return evaluation.operating_curve


def test_two_videos_by_hand() -> None:
    found = evaluate(scored(*LEVELS), VIDEOS, EvaluationSettings(resamples=0, max_alarms_per_hour=(1, 6, 11.9, 12, 24)))
    curve = curve_of(found)
    assert (curve.hours, curve.anomalies) == (pytest.approx(1 / 6), 2)
    corners = [
        (point.false_alarms_per_hour, point.found_share, point.found, *point.thresholds) for point in curve.points
    ]
    # .9 finds the first; .8 and .7 are false alarms, an alarm in ten minutes being 6 an hour; .6 finds the second
    assert corners == [
        (0.0, 0.5, 1.0, 0.9),
        (pytest.approx(6.0), 0.5, 1.0, 0.9),
        (pytest.approx(12.0), 1.0, 2.0, 0.6),
    ]
    assert all(point.interval is None for point in curve.points)
    shares = {name: metric.value for name, metric in found.metrics.items() if name.startswith("found_at")}
    assert shares == {
        "found_at_alarms_1": 0.5,
        "found_at_alarms_6": 0.5,
        "found_at_alarms_11.9": 0.5,
        "found_at_alarms_12": 1.0,
        "found_at_alarms_24": 1.0,
    }
    # .5 and what is a step in log odds below it: one false alarm more
    at = curve.at_threshold
    assert (at.threshold, at.found, at.found_share) == (0.5, 2.0, 1.0)
    assert at.false_alarms_per_hour == pytest.approx(18.0)


def test_seeds_are_averaged_at_equal_rates_each_with_a_threshold_of_its_own() -> None:
    blind = ([0.2, 0.2, 0.2, 0.2, 0.2, 0.3], [0.4, 0.2, 0.2, 0.2])  # two false alarms, then everything
    settings = EvaluationSettings(resamples=0, max_alarms_per_hour=(1, 12))
    both = evaluate_seeds({"0": scored(*LEVELS), "1": scored(*blind)}, VIDEOS, settings)
    first, last = curve_of(both).points[0], curve_of(both).points[-1]
    assert (first.found_share, first.thresholds) == (0.25, (0.9, np.nextafter(0.4, 1)))
    assert (last.found_share, last.found, last.thresholds) == (1.0, 2.0, (0.6, 0.2))
    assert both.metrics["found_at_alarms_1"].per_seed == (0.5, 0.0)
    assert curve_of(both).at_threshold.found_share == 0.5


def test_points_are_the_metric_at_their_rates_with_its_interval() -> None:
    scores, videos = random_test_set(np.random.default_rng(4), 6, 15)
    seeds = {"0": scores, "1": better(scores, videos, 1)}
    points = curve_of(evaluate_seeds(seeds, videos, EvaluationSettings(resamples=0, merge_seconds=0))).points
    rates = tuple(point.false_alarms_per_hour for point in points)
    assert len(points) > 4
    settings = EvaluationSettings(resamples=50, merge_seconds=0, max_alarms_per_hour=rates)
    found = evaluate_seeds(seeds, videos, settings)
    for rate, point in zip(rates, curve_of(found).points, strict=True):
        metric = found.metrics[f"found_at_alarms_{rate:g}"]
        assert point.false_alarms_per_hour == rate
        assert point.found_share == metric.value
        assert point.interval == metric.interval
    shares = [point.found_share for point in points]
    assert shares == sorted(shares)


def test_it_agrees_with_the_metrics_of_one_threshold() -> None:
    """Abnormal videos are anomalous all through and their events merge: they have no false alarm, and one event."""
    rng = np.random.default_rng(2)
    scores, videos = random_test_set(rng, 6, 8)
    whole = [
        Video(
            v.name, "", v.label, "test", None, None, ((0, v.num_frames or 0),) if v.label else (), (), v.num_frames, 25
        )
        for v in videos
    ]
    for threshold in (0.5, 0.8, 0.9):
        settings = EvaluationSettings(threshold=threshold, iou=(1e-9,), resamples=0, merge_seconds=0.4)
        found = evaluate(scores, whole, settings)
        at, metrics = curve_of(found).at_threshold, found.metrics
        normal_hours = sum(v.num_frames or 0 for v in whole if not v.label) / 25 / 3600
        assert at.false_alarms_per_hour * curve_of(found).hours == pytest.approx(
            metrics["false_alarms_per_hour"].value * normal_hours
        )
        assert at.found_share == metrics["event_recall_iou_1e-09"].value
        # the curve has it, or something better, at that rate
        reached = [p.found_share for p in curve_of(found).points if p.false_alarms_per_hour <= at.false_alarms_per_hour]
        assert reached[-1] >= at.found_share or threshold == 0.5


def test_points_are_few_and_kept_at_both_ends() -> None:
    levels = np.random.default_rng(0).random(4000)
    levels[::2] = 0
    long = [video("a", 3, 1), video("b", 4000)]
    scores = [
        make_scores(v.name, own, np.arange(len(own) + 1) * MINUTE)
        for v, own in zip(long, ([0, 0, 0], levels), strict=True)
    ]
    curve = curve_of(evaluate(scores, long, EvaluationSettings(resamples=0)))
    rates = [point.false_alarms_per_hour for point in curve.points]
    assert 100 < len(rates) <= MAX_POINTS
    assert rates == sorted(set(rates))
    assert rates[0] == 0
    # every other minute its own false alarm, before the lowest score finds all
    assert rates[-1] == pytest.approx(2000 / curve.hours)
    assert curve.points[-1].found_share == 1
    assert curve.points[-2].found_share == 0


def test_there_is_none_where_frame_rates_are_not_known_or_nobody_asks() -> None:
    silent = [Video(v.name, "", v.label, "test", None, None, v.spans, (), v.num_frames) for v in VIDEOS]
    scores = scored(*LEVELS)
    for videos, settings in (
        (silent, EvaluationSettings(resamples=0)),
        (VIDEOS[:1] + silent[1:], EvaluationSettings(resamples=0)),
        (VIDEOS, EvaluationSettings(resamples=0, max_alarms_per_hour=())),
    ):
        found = evaluate(scores, videos, settings)
        assert found.operating_curve is None
        assert not any(name.startswith("found_at") for name in found.metrics)
        assert found.as_json()["operating_curve"] is None
    assert (
        evaluate(scores, silent, EvaluationSettings(resamples=0, fps=1)).operating_curve
        == evaluate(scores, VIDEOS, EvaluationSettings(resamples=0)).operating_curve
    )


def test_a_release_that_is_given_stays_as_far_below_in_log_odds() -> None:
    usual = evaluate(scored(*LEVELS), VIDEOS, EvaluationSettings(resamples=0))
    levels = ([0.1, 0.9, 0.7, 0.6, 0.1, 0.8], LEVELS[1])
    # from .9 down to .6 it is one event where the release is far below
    far = EvaluationSettings(resamples=0, release=0.05)
    first = curve_of(evaluate(scored(*levels), VIDEOS, far)).points[0]
    assert (first.found_share, first.thresholds) == (1.0, (0.9,))
    assert curve_of(usual).points[0].found_share == 0.5


def test_as_json() -> None:
    found = evaluate(scored(*LEVELS), VIDEOS, EvaluationSettings(resamples=20))
    document = json.loads(json.dumps(found.as_json(), allow_nan=False))["operating_curve"]
    for same in (found, evaluate(scored(*LEVELS), VIDEOS, EvaluationSettings(resamples=0))):
        assert curve_of_json(json.loads(json.dumps(curve_of(same).as_json()))) == curve_of(same)
    assert set(document) == {"hours", "anomalies", "at_threshold", "points"}
    assert document["at_threshold"] == {
        "threshold": 0.5,
        "false_alarms_per_hour": pytest.approx(18.0),
        "found_share": 1.0,
        "found": 2.0,
    }
    assert document["points"][0] == {
        "false_alarms_per_hour": 0.0,
        "found_share": 0.5,
        "ci_low": 0.5,
        "ci_high": 0.5,
        "found": 1.0,
        "thresholds": [0.9],
    }
