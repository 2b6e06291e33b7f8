"""Evaluation from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anomaly_pretext.arguments import as_path, in_python
from anomaly_pretext.configuration import flags_from, from_flags
from downstream.analysis.evaluate_runs import EvaluateConfig, EvaluatedRuns, evaluate_and_write

__all__ = ["EvaluatedRuns", "evaluate"]


@in_python
def evaluate(*inputs: str | Path, **values: Any) -> EvaluatedRuns:
    """Evaluate runs or score files, the others compared with the first, each beside what needs no learning.

    `values`: further settings of the command `evaluate` (`unseen_groups=True`, `catalogue={"kind": "csv", ...}`).
    Writes the files that the command writes. `.tables()` is for people,
    `.evaluations[0].metrics["frame_auc"].value` for programs. UserError: no scores there, no ground truth.
    """
    paths = [as_path("an input", each, "a run's folder or a score file") for each in inputs]
    return evaluate_and_write(from_flags(EvaluateConfig, [*map(str, paths), *flags_from(values, EvaluateConfig)]))
