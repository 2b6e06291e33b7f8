"""What an evaluation leaves on disk; how runs are read is tested with scripts/evaluate.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from downstream.evaluation.evaluation import compare
from downstream.evaluation.output import write_evaluation
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.temporal_evaluation import evaluate
from pretrain.data.catalogue import Catalogue
from tests.downstream.evaluation.reference import better, random_test_set


def test_methods_and_their_comparison_are_written(tmp_path: Path) -> None:
    scores, videos = random_test_set(np.random.default_rng(5))
    settings = EvaluationSettings(resamples=10)
    first = evaluate(scores, videos, settings, "first")
    second = evaluate(better(scores, videos, 1), videos, settings, "second")
    differences = compare(first, second)
    write_evaluation(tmp_path, [first, second], {"second": differences}, Catalogue(videos, "a list"))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"evaluation.json", "table.md", "per_video-0.csv", "per_video-1.csv"}
    content = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    assert content["ground_truth"] == "a list"
    assert content["methods"] == [json.loads(json.dumps(method.as_json())) for method in (first, second)]
    (comparison,) = content["comparisons"]
    assert (comparison["first"], comparison["second"]) == ("first", "second")
    assert comparison["second_less_first"]["frame_auc"] == differences["frame_auc"].as_json()
