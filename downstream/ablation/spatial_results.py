"""Where in the picture: metrics of an ablation's cells on annotated boxes, read here alone, after all training.

Only features of cells (a grid over the picture) can say where, and only on test videos with boxes. The metrics need no
threshold: all pixels of all frames ranked, and whether the hottest cell of a frame lies in a box.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from downstream.ablation.grid import Cell
from downstream.evaluation.settings import LocalisationSettings
from downstream.evaluation.spatial_evaluation import SpatialEvaluation, evaluate_localisation
from downstream.evaluation.spatial_report import WITHOUT_BOXES, only
from downstream.events.boxes import ScoredBox
from downstream.scores.score_file import unscored_in
from pretrain.data.catalogue import Catalogue


def evaluate_where(cell: Cell, test: Catalogue | None) -> SpatialEvaluation | None:
    """The score maps of the cell's seeds against the boxes of the test videos; None where there is neither.

    UserError where boxes and maps do not fit (`spatial_truth.locate`).
    """
    seeds = {str(seed): cell.run.seed(seed) for seed in cell.config.seeds}
    if (
        test is None
        or not all(seed.has_maps("test") for seed in seeds.values())
        or not any(video.boxes for video in test)
    ):
        return None
    plain = cell.config.evaluation
    settings = LocalisationSettings(
        tail=plain.tail, resamples=plain.resamples, confidence=plain.confidence, seed=plain.seed
    )
    files = {name: seed.read_maps("test") for name, seed in seeds.items()}
    test = test.without(set(unscored_in(files.values())))
    scores = {name: file.videos for name, file in files.items()}
    none: dict[str, list[list[ScoredBox]]] = {
        video.name: [[] for _ in video.scores] for video in next(iter(scores.values()))
    }
    evaluation = evaluate_localisation(scores, dict.fromkeys(scores, none), list(test), settings, cell.name)
    return only(evaluation, WITHOUT_BOXES)


def notes(located: Sequence[SpatialEvaluation], problems: Mapping[str, str]) -> list[str]:
    """What the metrics of where are of, and what could not be evaluated: sentences for under the table."""
    lines = []
    if located:
        counts = located[0].counts
        chances = sorted({f"{evaluation.metrics['pointing_chance'].value:.3f}" for evaluation in located})
        lines.append(
            f"Where: {counts['annotated_frames']} frames with boxes in {counts['boxed_videos']} of {counts['videos']} "
            "test videos; pointing is the share of them whose hottest cell has its centre in a box (by chance "
            f"{' to '.join(dict.fromkeys((chances[0], chances[-1])))}), pixel AUC ranks all pixels of all frames."
        )
    if problems:
        name, text = next(iter(problems.items()))
        lines.append(f"Where was not evaluated of {len(problems)} row(s); the first, {name}: {text}")
    return lines
