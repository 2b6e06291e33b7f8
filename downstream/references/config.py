"""What scripts/reference_scores.py can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from downstream.features.config import check_border
from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.geometry import NO_BORDER, BorderCrop
from pretrain.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ReferencesConfig:
    """Scores of a run's test videos that need no learning; scripts/evaluate.py puts them beside the run's detectors.

    Change of features, deviation from the video's own snippets, distance to normal training snippets, and the centre of
    the video; with --motion how much frames differ, from the videos themselves. A run on stored features has written
    all but the last by itself. What was there is written anew, in RUN/references.

        python scripts/reference_scores.py runs/detector --motion
        python scripts/reference_scores.py runs/end_to_end --motion --features features/mine
    """

    run: Annotated[Path, tyro.conf.Positional]
    """A finished run of scripts/finetune.py."""
    motion: bool = False
    """Motion energy too: reads every test video."""
    features: tuple[Path, ...] = ()
    """Feature sets to score by. Default: those that the run was trained on; trained from videos it has none."""
    border_crop: BorderCrop = NO_BORDER
    """Of motion energy: shares of the frame that are not looked at, at top, bottom, left, right (burnt-in clocks)."""
    decoders: int = 2
    """Videos read at a time."""
    catalogue: CatalogueConfig = field(default_factory=CatalogueConfig)
    """Default: that of the run."""

    def __post_init__(self) -> None:
        check_border(self.border_crop)
        if self.decoders < 1:
            raise UserError(f"decoders is {self.decoders}; it must be at least 1")
