"""What scripts/report.py can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from downstream.events.rule import RuleChanges
from pretrain.data.catalogue import CatalogueConfig


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Write report.html of a run of scripts/finetune.py: one file that opens in any browser, offline.

    The catalogue is that of the run, unless another is given. Figures are shown where scripts/evaluate.py (and
    scripts/localise.py) have written them.

        python scripts/report.py runs/detector
        python scripts/report.py runs/detector --min-seconds 1 --merge-seconds 2
        python scripts/report.py runs/detector --where runs/cells
    """

    run: tyro.conf.Positional[Path]
    """Folder of a fine-tuning run."""
    where: Path | None = None
    """A run on features of cells with the same test videos, whose maps say where in the picture; when, and all figures,
    is said by RUN."""
    out: Path | None = None
    """Default: RUN/report.html."""
    catalogue: CatalogueConfig = field(default_factory=CatalogueConfig)
    rule: Annotated[RuleChanges, tyro.conf.arg(name="")] = field(default_factory=RuleChanges)
    fps: float | None = None
    """Frames per second of videos whose lists and files do not say it."""
    thumbnails: int = 3
    """Pictures of each video, at its highest events; 0: none."""
