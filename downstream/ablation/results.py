"""What the rows of an ablation came to: metrics over seeds, intervals over videos, differences to the base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from downstream.ablation.config import AblationConfig
from downstream.ablation.grid import Cell, Failure
from downstream.ablation.spatial_results import notes as notes_of_where
from downstream.evaluation.evaluation import Difference, MetricValue, compare
from downstream.evaluation.metrics import title_of
from downstream.evaluation.references import OverReference, References, best_references, over_references
from downstream.evaluation.spatial_evaluation import SpatialEvaluation
from downstream.evaluation.temporal_evaluation import TemporalEvaluation
from downstream.training.run_summary import summarise_run
from pretrain.data.catalogue import Catalogue
from pretrain.errors import UserError

FORMAT = "anomaly-pretext/ablation/1"


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One cell's metrics."""

    cell: Cell
    validation: MetricValue
    """Video-level AUC on the validation videos, of the selected detectors; no interval."""
    evaluation: TemporalEvaluation | None
    """On the test videos; None where they have no ground truth."""
    where: SpatialEvaluation | None = None
    """On their boxes; None where there are none, and of features of whole pictures."""
    differences: Mapping[str, Difference] | None
    """Metric -> this cell less the same base without terms; None for that base itself, and where it is missing."""

    @property
    def metrics(self) -> dict[str, MetricValue]:
        """All that was measured on the test videos."""
        when, where = (dict(kind.metrics) if kind else {} for kind in (self.evaluation, self.where))
        return when | where

    def as_json(self) -> dict[str, Any]:
        """For `ablation.json`."""
        metrics = self.evaluation.as_json()["metrics"] if self.evaluation else {}
        less = None if self.differences is None else {key: item.as_json() for key, item in self.differences.items()}
        return {
            "cell": self.cell.name,
            "features": self.cell.features,
            "base": self.cell.base,
            "terms": self.cell.terms,
            "variant": self.cell.variant,
            "metrics": metrics,
            "where": self.where.as_json()["metrics"] if self.where else None,
            "validation_video_auc": self.validation.as_json(),
            "less_base": less,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Ablation:
    """All rows, what failed, and what a reader has to know."""

    config: AblationConfig
    rows: Sequence[Row]
    failures: Sequence[Failure]
    not_located: Mapping[str, str] = field(default_factory=dict)
    """Cells whose maps do not fit the boxes, and why; their other metrics stand."""
    references: Mapping[str, Sequence[TemporalEvaluation]] = field(default_factory=dict)
    """Feature set -> scores that need no learning, on the same test videos."""

    def best_references(self, row: Row) -> list[OverReference]:
        """The row less the best reference of its feature set; empty where there is none."""
        methods = [row.evaluation] if row.evaluation else []
        return best_references(over_references(methods, self.references.get(row.cell.features, ())))

    def notes(self) -> list[str]:
        """Seeds, videos, what the intervals are: sentences for under the table."""
        plain, settings = self.config.finetune, self.config.finetune.evaluation
        lines = [f"{len(plain.seeds)} seed(s); ± is the standard deviation over seeds."]
        evaluation = next((row.evaluation for row in self.rows if row.evaluation), None)
        if evaluation is not None:
            counts = evaluation.counts
            lines.append(
                f"Test set: {counts['videos']} videos ({counts['abnormal_videos']} abnormal), {counts['frames']} "
                f"frames ({counts['anomalous_frames']} anomalous){evaluation.left_out_words()}."
            )
            if settings.resamples:
                lines.append(
                    f"[low, high]: {100 * settings.confidence:g} % bootstrap interval over test videos, "
                    f"{settings.resamples} draws stratified by label, of the mean over seeds (seeds held fixed)."
                )
            shown = sum(metric in (row.differences or ()) for row in self.rows for metric in self.config.compare)
            if shown:
                lines.append(
                    f"Differences are to the same base without terms, paired over videos; bold or * where the interval "
                    f"leaves 0 out ({shown} are shown: by chance alone about {(1 - settings.confidence) * shown:.1f} "
                    "would be)."
                )
            lines += self._notes_of_references()
            lines += notes_of_where([row.where for row in self.rows if row.where], self.not_located)
        else:
            lines.append("The test videos have no ground truth of frames: validation videos alone are scored.")
        how = "that told validation videos apart best" if plain.select == "best" else "of the last step"
        lines.append(
            f"Every figure is of the detector {how}, scored once on the test videos; validation video AUC is of the "
            f"{100 * plain.validation_fraction:g} % of training videos that were held out."
        )
        return lines

    def _notes_of_references(self) -> list[str]:
        """How many rows are above the best reference, by each metric that this is asked of."""
        found = [best for row in self.rows for best in self.best_references(row)]
        counts = []
        for metric in dict.fromkeys(best.metric for best in found):
            own = [best for best in found if best.metric == metric]
            counts.append(f"in {title_of(metric)} {sum(best.is_above for best in own)} of {len(own)}")
        if not counts:
            return []
        said = "above the best of them by more than the paired interval"
        return [f"References need no learning; rows {said}: {', '.join(counts)}."]

    def as_json(self) -> dict[str, Any]:
        """For `ablation.json`."""
        evaluation = next((row.evaluation for row in self.rows if row.evaluation), None)
        return {
            "format": FORMAT,
            "seeds": list(self.config.finetune.seeds),
            "test_set": dict(evaluation.counts) if evaluation else None,
            "notes": self.notes(),
            "rows": [
                row.as_json() | {"best_reference": [best.as_json() for best in self.best_references(row)]}
                for row in self.rows
            ],
            "references": {
                features: [reference.as_json() for reference in own] for features, own in self.references.items()
            },
            "failed": [failure._asdict() for failure in self.failures],
        }


def evaluate_cell(
    cell: Cell, test: Catalogue | None, references: References | None = None
) -> TemporalEvaluation | None:
    """The cell's seeds on the test videos; None where those have no ground truth. UserError as `evaluate_seeds`.

    Leaves `evaluation/` and `summary.json` in the cell's folder, as fine-tuning with all its seeds would, beside
    `references` that were evaluated on the same videos.
    """
    return summarise_run(cell.run, cell.config, test, cell.name, references or References([], [])).evaluation


def validation_auc(cell: Cell, seeds: Sequence[int]) -> MetricValue:
    """Video-level AUC on the validation videos, over seeds."""
    figures = {seed: (cell.run.seed(seed).read_summary().get("validation") or {}).get("video_auc") for seed in seeds}
    if missing := [seed for seed, figure in figures.items() if figure is None]:
        raise UserError(
            f"{cell.run.seed(missing[0]).path} says no AUC of its validation videos; delete that folder and run again"
        )
    values = np.array(list(figures.values()))
    deviation = float(values.std(ddof=1)) if len(values) > 1 else None
    return MetricValue(float(values.mean()), deviation, None, tuple(values.tolist()))


def make_rows(
    cells: Sequence[Cell],
    evaluations: Mapping[str, TemporalEvaluation | None],
    located: Mapping[str, SpatialEvaluation],
    seeds: Sequence[int],
) -> list[Row]:
    """A row for each cell that has an evaluation (by its name), in order; `located`: of those that say where."""
    references = {(cell.features, cell.base): cell.name for cell in cells if cell.is_reference}
    rows = []
    for cell in cells:
        if cell.name not in evaluations:
            continue
        reference = references.get((cell.features, cell.base), cell.name)
        differences: dict[str, Difference] = {}
        first, second = evaluations.get(reference), evaluations[cell.name]
        if reference != cell.name and first is not None and second is not None:
            differences |= compare(first, second)
        if reference != cell.name and reference in located and cell.name in located:
            differences |= compare(located[reference], located[cell.name])
        rows.append(
            Row(
                cell=cell,
                validation=validation_auc(cell, seeds),
                evaluation=second,
                where=located.get(cell.name),
                differences=differences or None,
            )
        )
    return rows
