"""What the detectors of a comparison came to: figures, differences to ours, the best reference, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from downstream.ablation.results import Ablation, Row
from downstream.comparison.config import CompareConfig
from downstream.comparison.cost import Cost
from downstream.evaluation.evaluation import Difference, compare
from downstream.evaluation.references import OverReference
from downstream.evaluation.temporal_evaluation import TemporalEvaluation

FORMAT = "anomaly-pretext/comparison/1"


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectorRow:
    """One detector."""

    name: str
    about: str
    row: Row
    """Metrics over seeds, as an ablation has them."""
    less_ours: Mapping[str, Difference] | None
    """Metric -> this detector less ours, paired over videos; None for ours itself, and where it is missing."""
    references: Sequence[OverReference]
    """This detector less the best reference, by metric."""
    cost: Cost | None

    @property
    def steps(self) -> int:
        """Of training."""
        return self.row.cell.config.optim.steps

    def as_json(self) -> dict[str, Any]:
        """For `comparison.json`."""
        less = None if self.less_ours is None else {name: each.as_json() for name, each in self.less_ours.items()}
        optim, bags = self.row.cell.config.optim, self.row.cell.config.bags
        return {
            "detector": self.name,
            "about": self.about,
            "steps": optim.steps,
            "batch_size": optim.batch_size,
            "segments": bags.segments,
            "metrics": self.row.as_json()["metrics"],
            "validation_video_auc": self.row.validation.as_json(),
            "less_ours": less,
            "best_reference": [best.as_json() for best in self.references],
            "cost": None if self.cost is None else asdict(self.cost),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """All detectors, what failed, and what a reader has to know."""

    config: CompareConfig
    ablation: Ablation
    rows: Sequence[DetectorRow]

    @property
    def reference_rows(self) -> Sequence[TemporalEvaluation]:
        """Scores that need no learning, on the same videos."""
        return self.ablation.references.get(self.config.features, ())

    def notes(self) -> list[str]:
        """Sentences for under the table."""
        against, settings = self.config.measured_against(), self.config.finetune.evaluation
        shown = sum(metric in (row.less_ours or ()) for row in self.rows for metric in COMPARED)
        lines = self.ablation.notes()
        if shown:
            lines.insert(
                -1,
                f"Differences are to {against}, paired over videos; bold or * where the interval leaves 0 out ({shown} "
                f"are shown: by chance alone about {(1 - settings.confidence) * shown:.1f} would be).",
            )
        steps = sorted({row.steps for row in self.rows})
        if len(steps) == 1:
            lines.append(f"All were trained for {steps[0]} steps, whatever was published.")
        costs = [row.cost for row in self.rows if row.cost]
        if costs:
            lines.append(
                f"Cost on {costs[0].device}: each detector alone, on these features, with the batch that it was "
                "trained with; on a CPU by its working time; memory above what the program takes by itself."
            )
        return lines

    def as_json(self) -> dict[str, Any]:
        """For `comparison.json`."""
        return {
            "format": FORMAT,
            "features": self.config.features,
            "seeds": list(self.config.finetune.seeds),
            "compared_with": self.config.measured_against(),
            "notes": self.notes(),
            "rows": [row.as_json() for row in self.rows],
            "references": [reference.as_json() for reference in self.reference_rows],
            "failed": [failure._asdict() for failure in self.ablation.failures],
        }


COMPARED = ("frame_auc", "per_video_auc")
"""Metrics whose difference to ours has a column; comparison.json has all."""


def make_results(config: CompareConfig, ablation: Ablation, costs: Mapping[str, Cost]) -> Results:
    """A row for each detector whose seeds are all done; `costs` by cell."""
    about = {choice.name: choice.about for choice in config.choices()}
    against = config.measured_against()
    ours = next((row.evaluation for row in ablation.rows if row.cell.base == against), None)
    rows = []
    for row in ablation.rows:
        differs = row.cell.base != against and ours is not None and row.evaluation is not None
        rows.append(
            DetectorRow(
                name=row.cell.base,
                about=about[row.cell.base],
                row=row,
                less_ours=compare(ours, row.evaluation) if differs and ours and row.evaluation else None,
                references=ablation.best_references(row),
                cost=costs.get(row.cell.name),
            )
        )
    return Results(config=config, ablation=ablation, rows=rows)
