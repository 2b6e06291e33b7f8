"""What scripts/fit_normal.py can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from downstream.detector.normal_config import NormalConfig
from downstream.evaluation.settings import EvaluationSettings
from downstream.training.config import MAX_SEED, FeaturesConfig
from pretrain.data.catalogue import CatalogueConfig
from pretrain.errors import UserError


@dataclass(frozen=True, kw_only=True)
class FitNormalConfig:
    """Fit a label-free detector: what is ordinary, from features of footage that is mostly normal; no label is needed.

    It lies in a run's folder like a trained one: detect, calibrate, package, evaluate, localise and report take it.
    One camera's footage makes a detector for that camera; footage of many, one for all, which knows each of them apart
    where the catalogue says which video is of which (its `group`).

        python scripts/fit_normal.py --features.sets features/mine --catalogue.root VIDEOS --output runs/ordinary
        python scripts/detect.py VIDEO --detector runs/ordinary
    """

    output: Path = Path("runs/normal")
    """Folder of the run."""
    resume: bool = False
    """A run that is there and done stays as it is; one that was begun is fitted anew."""
    footage: Literal["normal", "all"] = "normal"
    """Which training videos it is fitted to: those not labelled abnormal, or all of them, as they are."""
    held_out: float = 0.2
    """Share of the footage, by whole groups where the catalogue knows them, that says how far the ordinary goes."""
    seed: int = 0
    """Decides what is held out, and the coreset."""
    score_test: bool = True
    """Score the test videos, and evaluate where the catalogue has ground truth."""
    references: bool = True
    """Write reference scores of the test videos beside, see scripts/reference_scores.py."""
    plots: bool = True
    """Draw curves of the evaluation."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU where there is one."""
    catalogue: CatalogueConfig = field(default_factory=CatalogueConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    normal: NormalConfig = field(default_factory=NormalConfig)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise UserError(f"held_out is {self.held_out}; it must lie in (0, 1)")
        if not 0 <= self.seed <= MAX_SEED:
            raise UserError(f"seed is {self.seed}; it must lie in [0, {MAX_SEED}]")

    @property
    def seeds(self) -> tuple[int, ...]:
        """One detector: nothing of it is random but the coreset."""
        return (0,)

    @property
    def ceiling(self) -> bool:
        """No label of a frame was seen."""
        return False
