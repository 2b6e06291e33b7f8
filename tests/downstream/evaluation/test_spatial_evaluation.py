"""Seeds, intervals and comparisons of localisation, and the tables of them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from downstream.evaluation.evaluation import compare
from downstream.evaluation.metrics import compute_metrics
from downstream.evaluation.settings import LocalisationSettings
from downstream.evaluation.spatial_evaluation import SpatialEvaluation, evaluate_localisation
from downstream.evaluation.spatial_metrics import WeightedMaps
from downstream.evaluation.spatial_truth import locate
from downstream.evaluation.tables import comparison_table
from pretrain.errors import UserError
from tests.downstream.boxed_videos import BoxedSet, random_set, scored

SETTINGS = LocalisationSettings(resamples=50)


def two_seeds(method: str = "cells", settings: LocalisationSettings = SETTINGS) -> SpatialEvaluation:
    made = random_set(np.random.default_rng(0))
    return evaluate_localisation(*seeds_of(made), made.videos, settings, method)


def seeds_of(made: BoxedSet) -> tuple[dict[str, Any], dict[str, Any]]:
    others = [scored(entry.name, entry.map.scores[:, ::-1]) for entry in made.scores if entry.map]
    return {"0": made.scores, "1": others}, {"0": made.predicted, "1": made.predicted}


def test_values_are_means_over_seeds_with_intervals_over_videos() -> None:
    made = random_set(np.random.default_rng(0))
    evaluation = two_seeds()
    scores, predicted = seeds_of(made)
    for name, metric in evaluation.metrics.items():
        own = []
        for seed in scores:
            videos = locate(scores[seed], made.videos)
            boxes = [predicted[seed][video.name] for video in videos]
            test = WeightedMaps(videos=videos, boxes=boxes, settings=SETTINGS, weights=np.ones((1, 5)))
            own.append(compute_metrics(test)[name][0])
        assert metric.per_seed == pytest.approx(own, nan_ok=True)
        assert metric.value == pytest.approx(np.mean(own), nan_ok=True)
        assert evaluation.samples[name].shape == (2, 50)
        assert metric.interval is not None
    pointing = evaluation.metrics["pointing_chance"]
    assert pointing.interval is not None
    assert pointing.interval.low <= pointing.value <= pointing.interval.high
    assert pointing.deviation == pytest.approx(0)
    assert evaluation.metrics["pixel_auc"].deviation > 0


def test_json_holds_the_metrics_and_what_was_counted() -> None:
    evaluation = two_seeds()
    content = json.loads(json.dumps(evaluation.as_json(), allow_nan=False))
    assert content["seeds"] == ["0", "1"]
    assert content["settings"]["tiou_score"] == 0.5
    assert content["metrics"]["pointing"]["value"] == evaluation.metrics["pointing"].value
    counts = content["test_set"]
    assert (counts["videos"], counts["boxed_videos"], counts["frames"]) == (5, 3, 3 * 13 + 2 * 11)
    # 7 frames of each span, 4 of them with boxes, and one frame with boxes outside
    assert (counts["annotated_frames"], counts["unknown_frames"]) == (15, 9)


def test_a_method_compared_with_itself_differs_by_nothing() -> None:
    for name, entry in compare(two_seeds(), two_seeds("again")).items():
        assert entry.value == 0 or np.isnan(entry.value), name
        assert entry.interval is None or entry.interval == (0, 0) or np.isnan(entry.interval.low), name


def test_comparison_is_paired_and_signed() -> None:
    made = random_set(np.random.default_rng(0))
    worse = [scored(entry.name, 1 - entry.map.scores) for entry in made.scores if entry.map]
    first = evaluate_localisation({"0": made.scores}, {"0": made.predicted}, made.videos, SETTINGS, "maps")
    second = evaluate_localisation({"0": worse}, {"0": made.predicted}, made.videos, SETTINGS, "inverse")
    difference = compare(first, second)["cell_auc"]
    assert difference.value == pytest.approx(1 - 2 * first.metrics["cell_auc"].value)
    assert compare(second, first)["cell_auc"].value == pytest.approx(-difference.value)
    assert "inverse less maps" in comparison_table("maps", "inverse", compare(first, second))


def test_only_equal_sets_and_settings_compare() -> None:
    with pytest.raises(UserError, match="'cells' and 'cells' were not evaluated on the same videos and settings"):
        compare(two_seeds(), two_seeds(settings=LocalisationSettings(resamples=51)))


def test_boxes_must_be_of_the_same_seeds_videos_and_snippets() -> None:
    made = random_set(np.random.default_rng(0))
    with pytest.raises(UserError, match=r"cells: scores of the seeds \['0'\], boxes of \['1'\]; give the same"):
        evaluate_localisation({"0": made.scores}, {"1": made.predicted}, made.videos, SETTINGS, "cells")
    boxes = {name: lists for name, lists in made.predicted.items() if name != "v1"}
    boxes["v0"] = boxes["v0"][:2]
    with pytest.raises(UserError) as caught:
        evaluate_localisation({"0": made.scores}, {"0": boxes}, made.videos, SETTINGS, "cells")
    assert str(caught.value).splitlines() == [
        "cells, seed 0: 2 problem(s) between score maps and predicted boxes:",
        "  - 'v0': boxes of 2 snippets, scores of 3",
        "  - 'v1': scores, but no list of predicted boxes (an empty list for every snippet without one)",
    ]


def test_without_draws_there_are_values_alone() -> None:
    evaluation = two_seeds(settings=LocalisationSettings(resamples=0))
    assert all(metric.interval is None for metric in evaluation.metrics.values())
    assert not np.isnan(evaluation.metrics["pixel_auc"].value)
