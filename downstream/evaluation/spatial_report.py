"""What a detector of cells reached on annotated boxes, beside what a detector of whole frames would: tables, files.

A metric of where means little by itself: cameras are pointed at what happens, and a frame's score alone ranks pixels of
different frames. So two detectors that know only when stand beside it, on the same videos and draws.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from downstream.evaluation.evaluation import compare, comparison_json
from downstream.evaluation.metrics import metric_of
from downstream.evaluation.settings import LocalisationSettings
from downstream.evaluation.spatial_evaluation import SpatialEvaluation, evaluate_localisation
from downstream.evaluation.spatial_references import centre_cell, whole_frame
from downstream.evaluation.tables import comparison_table, evaluation_table, markdown
from downstream.events.boxes import ScoredBox
from downstream.runs.localisation_folder import LocalisationFolder
from downstream.scores.score_file import ScoreFile
from downstream.scores.video_scores import VideoScores
from pretrain.data.catalogue import Catalogue
from pretrain.errors import UserError, problem_list
from pretrain.files import write_json, write_text

FORMAT = "anomaly-pretext/localisation/1"
WITHOUT_BOXES = ("pixel_auc", "pixel_auc_abnormal", "cell_auc", "cell_auc_abnormal", "pointing", "pointing_per_video")
"""Metrics that need no predicted boxes: all that whole frames have."""
WHOLE_FRAMES = {
    "always the centre": (centre_cell, "the frame's score in the middle of the picture, every other cell below"),
    "everywhere alike": (whole_frame, "the frame's score in every cell"),
}
"""Method -> how its maps are made of scores of frames, and what it is."""
Boxes = list[list[ScoredBox]]
"""Of one video: those of each snippet, best first."""
Scores = Mapping[str, Sequence[VideoScores]]
"""Seed -> videos."""


def evaluate(
    name: str,
    scores: Scores,
    boxes: Mapping[str, Mapping[str, Boxes]],
    frames: Scores,
    videos: Catalogue,
    settings: LocalisationSettings,
) -> list[SpatialEvaluation]:
    """The detector of cells first, then the two of whole frames, made of `frames`. UserError: see `locate` and
    `spatial_references`.

    `boxes`: seed -> video -> its boxes.
    """
    like = next(iter(scores.values()))
    empty: dict[str, Boxes] = {video.name: [[] for _ in video.scores] for video in like}
    evaluations = []
    with tqdm(desc="evaluating", total=1 + len(WHOLE_FRAMES), unit="method", disable=None) as progress:
        evaluations.append(evaluate_localisation(scores, boxes, list(videos), settings, name))
        progress.update()
        for rival, (make, _) in WHOLE_FRAMES.items():
            made = {seed: make(own, like) for seed, own in frames.items()}
            evaluation = evaluate_localisation(made, dict.fromkeys(made, empty), list(videos), settings, rival)
            evaluations.append(only(evaluation, WITHOUT_BOXES))
            progress.update()
    return evaluations


def only(evaluation: SpatialEvaluation, metrics: Sequence[str]) -> SpatialEvaluation:
    """The same evaluation with these metrics, and what chance reaches."""
    chosen = {*metrics, *(metric_of(name).chance for name in metrics)}
    kept = {name: metric for name, metric in evaluation.metrics.items() if name in chosen}
    return dataclasses.replace(evaluation, metrics=kept)


def frame_scores(
    files: Mapping[str, ScoreFile], like: Sequence[VideoScores], run: Path
) -> dict[str, list[VideoScores]]:
    """Of a run on whole pictures, the scores of the videos of `like`. UserError naming those it did not score."""
    names = {video.name for video in like}
    chosen = {seed: [video for video in file.videos if video.name in names] for seed, file in files.items()}
    missing = {name for own in chosen.values() for name in names - {video.name for video in own}}
    if missing:
        listed = problem_list([f"'{name}'" for name in sorted(missing)], limit=10)
        raise UserError(
            f"--whole-frame {run} did not score {len(missing)} of the {len(names)} videos to be evaluated; give a run "
            f"with the same test videos, or leave it out:\n{listed}"
        )
    return chosen


def show(evaluations: Sequence[SpatialEvaluation], frames_of: str) -> None:
    """Print the tables; `frames_of`: the run that scored whole frames, empty where the cells' highest stood in."""
    mine, *rivals = evaluations
    print(evaluation_table(mine, explained=True), end="\n\n")
    scored_by = frames_of or f"the highest cell of each snippet of {mine.method}"
    print(f"Beside it, what knows only when, not where (scores of frames: {scored_by}):")
    for rival in rivals:
        print(f"- {rival.method}: {WHOLE_FRAMES[rival.method][1]}")
    for rival in rivals:
        differences = compare(rival, only(mine, WITHOUT_BOXES))
        print(f"\n{comparison_table(rival.method, mine.method, differences)}")
    print()


def write_localisation(
    out: LocalisationFolder,
    evaluations: Sequence[SpatialEvaluation],
    source: str,
    thresholds: Mapping[str, float],
) -> None:
    """The document and the table. `source`: of the boxes; `thresholds`: of each seed."""
    mine, *rivals = evaluations
    where = only(mine, WITHOUT_BOXES)
    document = {
        "format": FORMAT,
        "ground_truth": source,
        "thresholds": dict(thresholds),
        "methods": [evaluation.as_json() for evaluation in evaluations],
        "comparisons": [comparison_json(rival.method, mine.method, compare(rival, where)) for rival in rivals],
    }
    write_json(out.document, document)
    write_text(out.table, markdown(evaluations, explained=True))
