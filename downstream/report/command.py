"""The report of a run, written. What scripts/report.py does."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from downstream.evaluation.choose_videos import open_listed
from downstream.events.rule import RuleChanges
from downstream.report.page import write_report
from downstream.report.run_report import report_of_run
from downstream.runs.run_folder import RunFolder
from pretrain.data.catalogue import CatalogueConfig


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Write report.html of a run of scripts/finetune.py: one file that opens in any browser, offline.

    The catalogue is that of the run, unless another is given. Figures are shown where scripts/evaluate.py (and
    scripts/localise.py) have written them.

        python scripts/report.py runs/detector
        python scripts/report.py runs/detector --min-seconds 1 --merge-seconds 2
    """

    run: tyro.conf.Positional[Path]
    """Folder of a fine-tuning run."""
    out: Path | None = None
    """Default: RUN/report.html."""
    catalogue: CatalogueConfig = field(default_factory=CatalogueConfig)
    rule: Annotated[RuleChanges, tyro.conf.arg(name="")] = field(default_factory=RuleChanges)
    fps: float | None = None
    """Frames per second of videos whose lists and files do not say it."""
    thumbnails: int = 3
    """Pictures of each video, at its highest events; 0: none."""


def write_run_report(config: ReportConfig) -> None:
    """Make the report, write it, say where it is."""
    run = RunFolder(config.run)
    catalogue = open_listed(run.catalogue_unless(config.catalogue))
    out = config.out or run.report
    report = report_of_run(
        config.run, catalogue, out, changes=config.rule, fps=config.fps, thumbnails=config.thumbnails
    )
    write_report(out, report)
    print(out)
