"""What scripts/score.py can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from downstream.features.import_config import NO_CATALOGUE, LayoutFlags
from pretrain.data.catalogue import CatalogueConfig
from pretrain.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """Score features that are there already by a trained detector; no video is read.

    The features are a feature set (several, where the detector fuses several, in its order), or files in any layout of
    scripts/import_features.py. They must be of the encoder that the detector was trained on.

        python scripts/score.py runs/detector features/new --out scored
        python scripts/score.py runs/i3d I3D_FOLDER --encoder i3d_rgb --out scored
        python scripts/evaluate.py scored/scores.json --catalogue.kind ucf_crime --catalogue.annotations LISTS
    """

    detector: Annotated[Path, tyro.conf.Positional]
    """A run of scripts/finetune.py (all its seeds together) or scripts/fit_normal.py, one seed's folder, or a
    package."""
    features: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Feature sets; or folders or list files of feature files."""
    out: Path
    """Folder for the scores."""
    encoder: str | None = None
    """What made the files, as it was called when the detector's features were imported. Not for feature sets."""
    same_encoder: bool = False
    """The features are of the detector's encoder, though its name is another, or they say less of how they were made.
    Widths, snippets and cells must fit all the same."""
    frames: bool = False
    """Write frame_scores.csv too, a line for every frame of videos whose frames are known."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU where there is one."""
    catalogue: CatalogueConfig = field(default_factory=lambda: NO_CATALOGUE)
    """Where frames and fps of each video are known from (root: the videos), for files that do not say."""
    layout: Annotated[LayoutFlags, tyro.conf.arg(name="")] = field(default_factory=LayoutFlags)

    def __post_init__(self) -> None:
        if not self.features:
            raise UserError("nothing to score: give a feature set, or a folder or list file of feature files")
