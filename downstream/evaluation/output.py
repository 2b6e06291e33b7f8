"""What an evaluation leaves on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from downstream.evaluation.evaluate import Difference, Evaluation
from downstream.evaluation.table import markdown, per_video_csv
from downstream.visualisation.plots import plot_pr, plot_roc, plot_scores
from pretrain.data.catalogue import Catalogue
from pretrain.files import write_json, write_text

FORMAT = "anomaly-pretext/evaluation/1"


def evaluation_document(folder: Path) -> Path:
    """The file with all figures, of an evaluation that was written to `folder`."""
    return folder / "evaluation.json"


def write_all(
    out: Path,
    evaluations: Sequence[Evaluation],
    comparisons: dict[str, dict[str, Difference]],
    videos: Catalogue,
    plots: bool = True,
) -> None:
    """Everything that an evaluation leaves on disk; one per_video file a method where there are several."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "ground_truth": videos.source,
        "methods": [entry.as_json() for entry in evaluations],
        "comparisons": [
            {
                "first": evaluations[0].method,
                "second": name,
                "second_less_first": {metric: entry.as_json() for metric, entry in differences.items()},
            }
            for name, differences in comparisons.items()
        ],
    }
    write_json(evaluation_document(out), document)
    write_text(out / "table.md", markdown(evaluations))
    for number, entry in enumerate(evaluations):
        name = "per_video.csv" if len(evaluations) == 1 else f"per_video-{number}.csv"
        write_text(out / name, per_video_csv(entry))
    if plots:
        plot_roc(evaluations, out / "roc.png")
        plot_pr(evaluations, out / "pr.png")
        plot_scores(evaluations, out / "scores.png")
