"""What a detector of cells reached on annotated boxes, beside what a detector of whole frames would: tables, files.

A figure of where means little by itself: cameras are pointed at what happens, and a frame's score alone ranks pixels of
different frames. So two detectors that know only when stand beside it, on the same videos and draws.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from downstream.evaluation.spatial_evaluation import LocalisationEvaluation, compare_localisation, evaluate_localisation
from downstream.evaluation.spatial_metrics import LocalisationSettings
from downstream.evaluation.spatial_references import centre_cell, whole_frame
from downstream.evaluation.spatial_table import comparison_table, localisation_markdown, localisation_table
from downstream.events.boxes import ScoredBox
from downstream.runs.run_folder import LocalisationFolder
from downstream.scores.score_file import ScoreFile, VideoScores
from pretrain.data.catalogue import Catalogue
from pretrain.errors import UserError, problem_list
from pretrain.files import write_json, write_text

FORMAT = "anomaly-pretext/localisation/1"
OF_WHERE = ("pixel_auc", "pixel_auc_abnormal", "cell_auc", "cell_auc_abnormal", "pointing", "pointing_per_video")
"""Figures that need no predicted boxes: all that whole frames have."""
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
) -> list[LocalisationEvaluation]:
    """The detector of cells first, then the two of whole frames, made of `frames`. UserError: see `locate`, baselines.

    `boxes`: seed -> video -> its boxes.
    """
    like = next(iter(scores.values()))
    empty: dict[str, Boxes] = {entry.name: [[] for _ in entry.scores] for entry in like}
    found = []
    with tqdm(desc="evaluating", total=1 + len(WHOLE_FRAMES), unit="method", disable=None) as progress:
        found.append(evaluate_localisation(scores, boxes, list(videos), settings, name))
        progress.update()
        for rival, (make, _) in WHOLE_FRAMES.items():
            made = {seed: make(entries, like) for seed, entries in frames.items()}
            entry = evaluate_localisation(made, dict.fromkeys(made, empty), list(videos), settings, rival)
            found.append(only(entry, OF_WHERE))
            progress.update()
    return found


def only(evaluation: LocalisationEvaluation, figures: Sequence[str]) -> LocalisationEvaluation:
    """The same evaluation with these figures, and chance."""
    kept = {name: one for name, one in evaluation.measures.items() if name in figures or name == "pointing_chance"}
    return dataclasses.replace(evaluation, measures=kept)


def frame_scores(
    files: Mapping[str, ScoreFile], like: Sequence[VideoScores], run: Path
) -> dict[str, list[VideoScores]]:
    """Of a run on whole pictures, the scores of the videos of `like`. UserError naming those it did not score."""
    names = {entry.name for entry in like}
    chosen = {seed: [entry for entry in file.videos if entry.name in names] for seed, file in files.items()}
    missing = {name for entries in chosen.values() for name in names - {entry.name for entry in entries}}
    if missing:
        listed = problem_list([f"'{name}'" for name in sorted(missing)], limit=10)
        raise UserError(
            f"--whole-frame {run} did not score {len(missing)} of the {len(names)} videos to be evaluated; give a run "
            f"with the same test videos, or leave it out:\n{listed}"
        )
    return chosen


def show(evaluations: Sequence[LocalisationEvaluation], frames_of: str) -> None:
    """Print the tables; `frames_of`: the run that scored whole frames, empty where the cells' highest stood in."""
    mine, *rivals = evaluations
    print(localisation_table(mine), end="\n\n")
    scored_by = frames_of or f"the highest cell of each snippet of {mine.method}"
    print(f"Beside it, what knows only when, not where (scores of frames: {scored_by}):")
    for rival in rivals:
        print(f"- {rival.method}: {WHOLE_FRAMES[rival.method][1]}")
    for rival in rivals:
        differences = compare_localisation(rival, only(mine, OF_WHERE))
        print(f"\n{comparison_table(rival.method, mine.method, differences)}")
    print()


def write_figures(
    out: LocalisationFolder,
    evaluations: Sequence[LocalisationEvaluation],
    source: str,
    thresholds: Mapping[str, float],
) -> None:
    """The document and the table. `source`: of the boxes; `thresholds`: of each seed."""
    mine, *rivals = evaluations
    comparisons: list[dict[str, Any]] = []
    for rival in rivals:
        differences = compare_localisation(rival, only(mine, OF_WHERE))
        entry = {figure: difference.as_json() for figure, difference in differences.items()}
        comparisons.append({"first": rival.method, "second": mine.method, "second_less_first": entry})
    document = {
        "format": FORMAT,
        "ground_truth": source,
        "thresholds": dict(thresholds),
        "methods": [entry.as_json() for entry in evaluations],
        "comparisons": comparisons,
    }
    write_json(out.document, document)
    write_text(out.table, localisation_markdown(evaluations))
