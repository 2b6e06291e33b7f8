"""Reference scores evaluated beside a method: which count, which is the best, and what is said of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from downstream.evaluation.bootstrap import Interval
from downstream.evaluation.evaluation import Difference
from downstream.evaluation.references import (
    OverReference,
    best_references,
    evaluate_references,
    over_references,
    reference_report,
)
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.tables import markdown
from downstream.evaluation.temporal_evaluation import evaluate
from downstream.scores.score_file import ScoreFile
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.data.catalogue import Video
from tests.downstream.evaluation.reference import better, random_test_set

SETTINGS = EvaluationSettings(resamples=100)
Truth = tuple[list[VideoScores], list[Video]]


@pytest.fixture
def truth() -> Truth:
    return random_test_set(np.random.default_rng(5), abnormal=6, normal=6)


def made(scores: list[VideoScores]) -> ScoreFile:
    return ScoreFile([make_scores(video.name, 100 * video.scores - 7, video.edges) for video in scores], {})


def test_a_reference_has_the_same_areas_and_nothing_of_a_threshold(truth: Truth) -> None:
    scores, videos = truth
    method = evaluate(scores, videos, SETTINGS, "detector")
    (reference,) = evaluate_references({"feature_change": made(scores)}, videos, SETTINGS).evaluations
    assert reference.method == "feature change"
    for name in ("frame_auc", "frame_ap", "per_video_auc", "video_auc"):  # they do not hang on the scale
        assert reference.metrics[name] == method.metrics[name]
    assert "false_alarm_rate" in method.metrics
    assert not {"false_alarm_rate", "event_f1_iou_0.1"} & {*reference.metrics, *reference.samples}


def test_the_best_reference_is_found_by_each_metric_and_paired(truth: Truth) -> None:
    scores, videos = truth
    strong = better(scores, videos, 1)
    method = evaluate(better(scores, videos, 2), videos, SETTINGS, "detector")
    found = evaluate_references({"weak": made(scores), "strong": made(strong)}, videos, SETTINGS)
    over = over_references([method], found.evaluations)
    assert len(over) == 4
    best = best_references(over)
    assert [(each.metric, each.name) for each in best] == [("frame_auc", "strong"), ("per_video_auc", "strong")]
    weak = over[0]
    expected = method.metrics["frame_auc"].value - found.evaluations[0].metrics["frame_auc"].value
    assert (weak.name, weak.difference.value) == ("weak", pytest.approx(expected))
    assert weak.is_above
    assert weak.as_json()["ci_low"] == weak.difference.interval.low > 0  # type: ignore[union-attr]
    assert weak.as_json() | {"method": "detector", "metric": "frame_auc", "name": "weak"} == weak.as_json()


def test_a_reference_without_a_score_of_some_video_changes_no_figure(truth: Truth) -> None:
    scores, videos = truth
    partial = ScoreFile(scores[1:], {"unscored": {"v0": "v0.mp4: no video"}})
    found = evaluate_references({"motion_energy": partial, "position": made(scores)}, videos, SETTINGS)
    assert [each.method for each in found.evaluations] == ["position"]
    assert found.left_out == [
        "the reference motion energy is left out: it has no score of 1 of 12 videos, the first is 'v0' "
        "(v0.mp4: no video)"
    ]
    fewer = evaluate_references({"motion_energy": partial}, videos, SETTINGS, {"v0": "broken"})
    assert [each.names for each in fewer.evaluations] == [tuple(video.name for video in videos[1:])]
    text = reference_report([], evaluate_references({"motion_energy": partial}, videos, SETTINGS))
    assert text == f"note: {found.left_out[0]}"


def over(value: float, interval: Interval | None) -> OverReference:
    return OverReference(
        method="detector",
        metric="frame_auc",
        name="feature change",
        value=0.63,
        difference=Difference(value, interval),
    )


@pytest.mark.parametrize(
    ("value", "interval", "said"),
    [
        (0.04, Interval(0.01, 0.07), "above the best reference (feature change 0.630) by +0.040 (+0.010 to +0.070)"),
        (0.04, Interval(-0.01, 0.07), "not above the best reference (feature change 0.630): +0.040 (-0.010 to +0.070)"),
        (-0.1, Interval(-0.2, -0.05), "not above the best reference (feature change 0.630): -0.100 (-0.200 to -0.050)"),
        (0.04, None, "above the best reference (feature change 0.630) by +0.040"),
        (0.0, None, "not above the best reference (feature change 0.630): +0.000"),
        (0.0, Interval(math.nan, math.nan), "not above the best reference (feature change 0.630): +0.000"),
    ],
)
def test_what_is_said_of_the_best(value: float, interval: Interval | None, said: str) -> None:
    assert over(value, interval).sentence() == f"detector, frame AUC: {said}"


def test_references_stand_below_the_methods_and_are_marked(truth: Truth) -> None:
    scores, videos = truth
    method = evaluate(better(scores, videos, 2), videos, SETTINGS, "detector")
    found = evaluate_references({"feature_change": made(scores)}, videos, SETTINGS)
    first, second = markdown([method], references=found.evaluations).splitlines()[2:]
    assert first.startswith("| detector | 1 | ")
    assert second.startswith("| feature change (reference) | - | 0.")
    assert second.endswith("| - |")  # no false-alarm rate
    lines = reference_report([method], found).splitlines()
    assert [line.split("  ")[0] for line in lines[4:6]] == ["detector", "feature change (reference)"]
    assert lines[7].startswith("detector, frame AUC: above the best reference (feature change ")
    assert lines[8].startswith("detector, mean per-video AUC: above the best reference (feature change ")


def test_a_metric_that_is_not_defined_has_no_best() -> None:
    videos = [Video("a", "", 1, "test", spans=((0, 16),), num_frames=16), Video("b", "", 0, "test", num_frames=16)]
    scores = [make_scores("a", [0.9], [0, 16]), make_scores("b", [0.1], [0, 16])]
    method = evaluate(scores, videos, SETTINGS)
    found = evaluate_references({"position": ScoreFile(scores, {})}, videos, SETTINGS)
    assert [each.metric for each in over_references([method], found.evaluations)] == ["frame_auc"]
