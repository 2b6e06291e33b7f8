"""Where in the picture: figures of an ablation's cells on annotated boxes, read here alone, after all training.

Only features of cells (a grid over the picture) can say where, and only on test videos with boxes. The figures need no
threshold: all pixels of all frames ranked, and whether the hottest cell of a frame lies in a box.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from downstream.ablation.grid import Cell
from downstream.evaluation.spatial_evaluation import LocalisationEvaluation, LocalisationSettings, evaluate_localisation
from downstream.evaluation.spatial_report import OF_WHERE, only
from downstream.events.boxes import ScoredBox
from pretrain.data.catalogue import Catalogue

COLUMNS = {"pixel_auc": "pixel AUC", "pointing": "pointing"}
"""Figures of where that tables show; `ablation.json` has all of `OF_WHERE`."""


def evaluate_where(cell: Cell, test: Catalogue | None) -> LocalisationEvaluation | None:
    """The score maps of the cell's seeds against the boxes of the test videos; None where there is neither.

    UserError where boxes and maps do not fit (`localisation.truth.locate`).
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
    scores = {name: seed.read_maps("test").videos for name, seed in seeds.items()}
    none: dict[str, list[list[ScoredBox]]] = {
        entry.name: [[] for _ in entry.scores] for entry in next(iter(scores.values()))
    }
    return only(evaluate_localisation(scores, dict.fromkeys(scores, none), list(test), settings, cell.name), OF_WHERE)


def notes(located: Sequence[LocalisationEvaluation], problems: Mapping[str, str]) -> list[str]:
    """What the figures of where are of, and what could not be evaluated: sentences for under the table."""
    lines = []
    if located:
        counts = located[0].counts
        chances = sorted({f"{entry.measures['pointing_chance'].value:.3f}" for entry in located})
        lines.append(
            f"Where: {counts['annotated_frames']} frames with boxes in {counts['boxed_videos']} of {counts['videos']} "
            "test videos; pointing is the share of them whose hottest cell has its centre in a box (by chance "
            f"{' to '.join(dict.fromkeys((chances[0], chances[-1])))}), pixel AUC ranks all pixels of all frames."
        )
    if problems:
        name, text = next(iter(problems.items()))
        lines.append(f"Where was not evaluated of {len(problems)} row(s); the first, {name}: {text}")
    return lines
