"""What an evaluation leaves on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from downstream.evaluation.evaluation import Difference, comparison_json
from downstream.evaluation.per_video import per_video_csv
from downstream.evaluation.references import best_references, over_references
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
    references: Sequence[TemporalEvaluation] = (),
) -> None:
    """All numbers of an evaluation; one per_video file a method where there are several.

    `comparisons`: method -> it less the first, by metric. `references`: scores that need no learning; each method is
    compared with the best of them.
    """
    over = over_references(evaluations, references)
    best = best_references(over)
    document: dict[str, Any] = {
        "format": FORMAT,
        "ground_truth": videos.source,
        "methods": [evaluation.as_json() for evaluation in evaluations],
        "comparisons": [
            comparison_json(evaluations[0].method, name, differences) for name, differences in comparisons.items()
        ],
        "references": [reference.as_json() for reference in references],
        "less_references": [each.as_json() for each in over],
        "best_reference": [each.as_json() for each in best],
    }
    write_json(evaluation_document(out), document)
    said = "".join(f"\n- {each.sentence()}" for each in best)
    write_text(out / "table.md", markdown(evaluations, references=references) + (f"{said}\n" if said else ""))
    for number, evaluation in enumerate(evaluations):
        name = "per_video.csv" if len(evaluations) == 1 else f"per_video-{number}.csv"
        write_text(out / name, per_video_csv(evaluation))
