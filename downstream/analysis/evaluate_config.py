"""What scripts/evaluate.py can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from downstream.evaluation.settings import EvaluationSettings
from pretrain.data.catalogue import CatalogueConfig
from pretrain.errors import UserError


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Frame-level, video-level and event-level figures with intervals; plots; paired comparison of several methods.

    Each input is one method: a run folder of scripts/finetune.py (its seeds are averaged), or a score file: .json as
    scripts/score.py writes it, or .csv with name,start,end,score, a line a snippet, frames of which `end` is the first
    that is not in it. The videos themselves are not needed. The first method is what the others are compared with.

    The catalogue is that of the first run, unless another is given. Reference scores that runs have in their folders
    (scripts/reference_scores.py) stand below the methods, and each method is compared with the best of them. The same
    detector on random weights is one more input: a run on features that were extracted with these.

        python scripts/evaluate.py runs/ucf --fps 30
        python scripts/evaluate.py scores.csv --catalogue.kind ucf_crime --catalogue.annotations lists/ --fps 30
        python scripts/evaluate.py runs/base runs/all --catalogue.kind json --catalogue.annotations ground_truth.json
    """

    inputs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run folders or score files."""
    catalogue: CatalogueConfig = field(default_factory=CatalogueConfig)
    settings: Annotated[EvaluationSettings, tyro.conf.arg(name="")] = field(default_factory=EvaluationSettings)
    split: Literal["test", "train", "all"] = "test"
    """Videos to evaluate: each must have scores."""
    unseen_groups: bool = False
    """Evaluate only videos of cameras, scenes or sources (the catalogue's `group`) that no training video is of."""
    ensemble: bool = False
    """Take the detectors of a run's seeds as one, as scripts/detect.py does: the mean of their log odds. Default: each
    by itself, figures averaged."""
    as_one: bool = False
    """First of all the inputs as one detector, as scripts/package.py makes one of several runs: the mean of their log
    odds, each counting as one. The others are compared with it."""
    references: bool = True
    """Evaluate the runs' reference scores too: what needs no learning, and every detector should be above."""
    out: Path | None = None
    """Folder for evaluation.json, per_video.csv, table.md and the plots. Default: RUN/evaluation; with several inputs
    `evaluation` beside the first."""
    plots: bool = True
    """Draw roc.png, pr.png, scores.png and, where frame rates are known, operating_curve.png."""

    def __post_init__(self) -> None:
        if not self.inputs:
            raise UserError("nothing to evaluate: give run folders or score files")
        if self.as_one and len(self.inputs) == 1:
            raise UserError(f"as_one is on, and {self.inputs[0]} is the only input; its seeds are one by --ensemble")
