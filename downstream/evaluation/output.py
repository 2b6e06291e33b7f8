"""What an evaluation reads of runs and leaves on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from downstream.evaluation.evaluation import Difference, comparison_json
from downstream.evaluation.per_video import per_video_csv
from downstream.evaluation.tables import markdown
from downstream.evaluation.temporal_evaluation import TemporalEvaluation
from downstream.scores.score_file import ScoreFile, read_scores
from pretrain.data.catalogue import Catalogue
from pretrain.errors import UserError, problem_list
from pretrain.files import write_json, write_text

FORMAT = "anomaly-pretext/evaluation/1"
SCORES = "test_scores.json"


def read_method(path: Path) -> dict[str, ScoreFile]:
    """Seed -> scores, of a run folder or of one score file."""
    if path.is_file():
        return {"0": read_scores(path)}
    if not path.is_dir():
        raise UserError(f"there is no {path}: give a run folder of scripts/finetune.py, or a score file")
    if (path / SCORES).is_file():
        return {path.name.removeprefix("seed-"): read_scores(path / SCORES)}
    seeds = sorted(path.glob("seed-*"), key=lambda folder: (len(folder.name), folder.name))
    if not seeds:
        raise UserError(f"{path} holds no seed-*/{SCORES}: it is no run folder of scripts/finetune.py")
    if unfinished := [str(folder) for folder in seeds if not (folder / SCORES).is_file()]:
        raise UserError(
            f"{path}: seeds without {SCORES}; finish them with the same command and --resume, or remove them:\n"
            f"{problem_list(unfinished)}"
        )
    return {folder.name.removeprefix("seed-"): read_scores(folder / SCORES) for folder in seeds}


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
    write_json(out / "evaluation.json", document)
    write_text(out / "table.md", markdown(evaluations))
    for number, evaluation in enumerate(evaluations):
        name = "per_video.csv" if len(evaluations) == 1 else f"per_video-{number}.csv"
        write_text(out / name, per_video_csv(evaluation))
