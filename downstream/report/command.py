"""The report of a run, written. What scripts/report.py does."""

from __future__ import annotations

from downstream.evaluation.choose_videos import open_listed
from downstream.report.config import ReportConfig
from downstream.report.page import write_report
from downstream.report.run_report import report_of_run
from downstream.runs.run_folder import RunFolder


def write_run_report(config: ReportConfig) -> None:
    """Make the report, write it, say where it is."""
    run = RunFolder(config.run)
    catalogue = open_listed(run.catalogue_unless(config.catalogue))
    out = config.out or run.report
    report = report_of_run(
        config.run,
        catalogue,
        out,
        changes=config.rule,
        fps=config.fps,
        thumbnails=config.thumbnails,
        where=config.where,
    )
    write_report(out, report)
    print(out)
