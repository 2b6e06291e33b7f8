"""Figures of localisation as text: for the terminal and for a README (Markdown)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from downstream.evaluation.evaluate import Difference
from downstream.evaluation.spatial_evaluation import LocalisationEvaluation
from downstream.evaluation.spatial_metrics import MEASURES, title_of
from downstream.evaluation.table import aligned, cell_of, figure, interval_words

SUMMARY = ("pixel_auc", "pixel_auc_abnormal", "pointing", "mean_iou", "recall_iou_0.3")
"""Columns of a table with a line a method."""
_CHANCE = "pointing_chance"


def localisation_table(evaluation: LocalisationEvaluation, measures: Sequence[str] | None = None) -> str:
    """One method, a line a figure (default: every one), pointing with its chance beside it, and what each figure is."""
    counts, settings = evaluation.counts, evaluation.settings
    head = [
        f"{evaluation.method}: {len(evaluation.seeds)} seed(s)",
        f"{counts['videos']} videos ({counts['boxed_videos']} with boxes), {counts['frames']} frames: "
        f"{counts['annotated_frames']} with {counts['boxes']} boxes, {counts['unknown_frames']} left out (anomalous, "
        f"without a box); TIoU from a score of {settings.tiou_score:g}",
    ]
    rows = [["figure", "value", f"{100 * settings.confidence:g} % interval", "deviation over seeds", "chance"]]
    chosen = [name for name in measures or evaluation.measures if name != _CHANCE]
    for name in chosen:
        measure = evaluation.measures[name]
        deviation = "" if measure.deviation is None else figure(name, measure.deviation)
        chance = figure(_CHANCE, evaluation.measures[_CHANCE].value) if name == "pointing" else ""
        rows.append(
            [title_of(name), figure(name, measure.value), interval_words(name, measure.interval), deviation, chance]
        )
    bases = dict.fromkeys(name if name in MEASURES else name.rpartition("_")[0] for name in chosen)
    return "\n".join([*head, *aligned(rows), "", *(": ".join(MEASURES[base]) for base in bases)])


def localisation_markdown(
    evaluations: Sequence[LocalisationEvaluation], measures: Sequence[str] | None = None, explained: bool = True
) -> str:
    """A line a method: `0.62 [0.55, 0.70] ± 0.02 (chance 0.08)`; below it, unless asked not to, what each figure is.

    Default: the figures of `SUMMARY` that were measured.
    """
    chosen = list(measures or [name for name in SUMMARY if any(name in entry.measures for entry in evaluations)])
    rows = [["method", "seeds", *map(title_of, chosen)]]
    for entry in evaluations:
        cells = [cell_of(name, entry.measures.get(name), " ± ") + _beside(name, entry) for name in chosen]
        rows.append([entry.method, str(len(entry.seeds)), *cells])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---" * len(rows[0]) + "|")
    bases = dict.fromkeys(name if name in MEASURES else name.rpartition("_")[0] for name in chosen)
    notes = [f"- {title}: {meaning}." for title, meaning in map(MEASURES.__getitem__, bases)]
    return "\n".join([*lines, *(["", *notes] if explained else [])]) + "\n"


def comparison_table(
    first: str, second: str, differences: Mapping[str, Difference], measures: Sequence[str] | None = None
) -> str:
    """`second` less `first`, a line a figure (default: all but chance); `*`: the interval leaves zero out."""
    rows = [["figure", "difference", "interval", ""]]
    for name, entry in differences.items():
        if name in measures if measures is not None else name != _CHANCE:
            sign = "+" if entry.value > 0 else ""
            clear = "*" if entry.clear else ""
            rows.append([title_of(name), sign + figure(name, entry.value), interval_words(name, entry.interval), clear])
    return "\n".join([f"{second} less {first}, paired over videos (* the interval leaves zero out)", *aligned(rows)])


def _beside(name: str, evaluation: LocalisationEvaluation) -> str:
    if name != "pointing":
        return ""
    return f" (chance {figure(_CHANCE, evaluation.measures[_CHANCE].value)})"
