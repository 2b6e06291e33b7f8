"""What an evaluation leaves on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from downstream.evaluation.evaluation import Difference, comparison_json
from downstream.evaluation.per_video import per_video_csv
from downstream.evaluation.tables import markdown
from downstream.evaluation.temporal_evaluation import TemporalEvaluation
from pretrain.data.catalogue import Catalogue
from pretrain.files import write_json, write_text

FORMAT = "anomaly-pretext/evaluation/1"


def evaluation_document(folder: Path) -> Path:
    """The file with all figures, of an evaluation that was written to `folder`."""
    return folder / "evaluation.json"


def write_evaluation(
    out: Path,
    evaluations: Sequence[TemporalEvaluation],
    comparisons: Mapping[str, Mapping[str, Difference]],
    videos: Catalogue,
) -> None:
    """All numbers of an evaluation; one per_video file a method where there are several.

    `comparisons`: method -> it less the first, by metric.
    """
    document: dict[str, Any] = {
        "format": FORMAT,
        "ground_truth": videos.source,
        "methods": [evaluation.as_json() for evaluation in evaluations],
        "comparisons": [
            comparison_json(evaluations[0].method, name, differences) for name, differences in comparisons.items()
        ],
    }
    write_json(evaluation_document(out), document)
    write_text(out / "table.md", markdown(evaluations))
    for number, evaluation in enumerate(evaluations):
        name = "per_video.csv" if len(evaluations) == 1 else f"per_video-{number}.csv"
        write_text(out / name, per_video_csv(evaluation))
