"""One self-contained HTML page of a run: scores over time, events, false alarms at any threshold, pictures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from downstream.evaluation.choose_videos import open_listed
from downstream.events.rule import RuleChanges
from downstream.report.page import write_report
from downstream.report.run_report import report_of_run
from downstream.runs.run_folder import RunFolder
from pretrain.cli import parse, run_command
from pretrain.data.catalogue import CatalogueConfig

PROG = "report.py"


@dataclass(frozen=True, kw_only=True)
class Options:
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    run_command(lambda: run(parse(Options, given, PROG)))


def run(options: Options) -> None:
    """Make the report, write it, say where it is."""
    run_folder = RunFolder(options.run)
    trained_with = run_folder.catalogue()
    chosen = trained_with if options.catalogue == CatalogueConfig() else options.catalogue
    out = options.out or run_folder.report
    report = report_of_run(
        options.run, open_listed(chosen), out, changes=options.rule, fps=options.fps, thumbnails=options.thumbnails
    )
    write_report(out, report)
    print(out)


if __name__ == "__main__":
    main()
