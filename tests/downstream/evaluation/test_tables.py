from __future__ import annotations

import numpy as np
import pytest

from downstream.evaluation.evaluation import compare
from downstream.evaluation.metrics import METRICS, title_of
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.tables import comparison_table, evaluation_table, markdown
from downstream.evaluation.temporal_evaluation import evaluate
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.data.catalogue import Video
from tests.downstream.evaluation.reference import better, random_test_set
from tests.downstream.evaluation.test_spatial_evaluation import two_seeds

SETTINGS = EvaluationSettings(resamples=100)


@pytest.fixture
def truth() -> tuple[list[VideoScores], list[Video]]:
    return random_test_set(np.random.default_rng(5), abnormal=6, normal=6)


def test_tables_hold_every_metric(truth: tuple[list[VideoScores], list[Video]]) -> None:
    scores, videos = truth
    quiet = [make_scores(entry.name, np.full(len(entry.scores), 0.1), entry.edges) for entry in scores]
    result = evaluate(quiet, videos, SETTINGS, "quiet_50%")
    text = evaluation_table(result)
    assert all(title_of(name) in text for name in result.metrics)
    assert {"AUC of Fire", "recall at FPR 0.01"} <= {title_of(name) for name in result.metrics}
    assert all(METRICS[name].title == title_of(name) for name in ("frame_auc", "false_alarm_rate"))
    assert "| quiet_50% | 1 | 0.500 [0.500, 0.500] |" in markdown([result])


def test_a_comparison_marks_what_is_clear_and_leaves_classes_out(
    truth: tuple[list[VideoScores], list[Video]],
) -> None:
    scores, videos = truth
    first = evaluate(scores, videos, SETTINGS, "first")
    second = evaluate(better(scores, videos, 1), videos, SETTINGS, "second")
    lines = comparison_table("first", "second", compare(first, second)).splitlines()
    assert next(line for line in lines if line.startswith("frame AUC ")).endswith("*")
    assert not any(line.startswith("AUC of ") for line in lines)
    assert "AUC of Fire" in comparison_table("first", "second", compare(first, second), ["class_auc/Fire"])


def test_tables_name_metrics_and_put_chance_beside_pointing() -> None:
    evaluation = two_seeds()
    text = evaluation_table(evaluation, explained=True)
    value, chance = (f"{evaluation.metrics[name].value:.3f}" for name in ("pointing", "pointing_chance"))
    (line,) = [line for line in text.splitlines() if line.startswith("pointing  ")]
    assert (line.split()[1], line.split()[-1]) == (value, chance)
    assert "cells: 2 seed(s)" in text
    assert "9 left out" in text
    assert "box recall at IoU: share of annotated boxes" in text
    table = markdown([evaluation], explained=True)
    assert f"(chance {chance})" in table
    assert table.splitlines()[1] == "|---" * 7 + "|"
    assert "- pixel AUC: all pixels" in table
    assert "- pixel AUC" not in markdown([evaluation])
