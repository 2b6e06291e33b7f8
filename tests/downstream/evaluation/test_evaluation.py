from __future__ import annotations

import json

import numpy as np
import pytest

from downstream.evaluation.evaluation import compare
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.temporal_evaluation import evaluate, evaluate_seeds
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.data.catalogue import Video
from pretrain.errors import UserError
from tests.downstream.evaluation.reference import better, random_test_set

SETTINGS = EvaluationSettings(resamples=100)


@pytest.fixture
def truth() -> tuple[list[VideoScores], list[Video]]:
    return random_test_set(np.random.default_rng(5), abnormal=6, normal=6)


def test_comparison_is_paired_and_says_what_is_clear(truth: tuple[list[VideoScores], list[Video]]) -> None:
    scores, videos = truth
    first = evaluate(scores, videos, SETTINGS, "first")
    second = evaluate_seeds({s: better(scores, videos, int(s)) for s in "12"}, videos, SETTINGS, "second")
    difference = compare(first, second)["frame_auc"]
    assert difference.value == second.metrics["frame_auc"].value - first.metrics["frame_auc"].value
    assert difference.clear
    assert difference.value > 0
    same = compare(first, first)["frame_auc"]
    assert same.interval == (0, 0)
    assert not same.clear
    other = evaluate(scores[:-1], videos[:-1], SETTINGS, "other")
    with pytest.raises(UserError, match="'first' and 'other' were not evaluated on the same videos"):
        compare(first, other)


def test_json_holds_no_nan(truth: tuple[list[VideoScores], list[Video]]) -> None:
    scores, videos = truth
    quiet = [make_scores(entry.name, np.full(len(entry.scores), 0.1), entry.edges) for entry in scores]
    result = evaluate(quiet, videos, SETTINGS, "quiet_50%")
    document = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert document["metrics"]["event_precision_iou_0.5"]["value"] is None  # nothing was predicted
    assert document["metrics"]["frame_auc"] == {
        "value": 0.5,
        "deviation": None,
        "ci_low": 0.5,
        "ci_high": 0.5,
        "per_seed": [0.5],
    }
    assert document["test_set"]["abnormal_videos"] == 6
