"""One self-contained HTML page of a run: scores over time, events, false alarms at any threshold, pictures."""

from __future__ import annotations

from collections.abc import Sequence

from downstream.report.config import ReportConfig
from pretrain.cli import run_script


def run(config: ReportConfig) -> None:
    """The work itself, loaded once the arguments are known."""
    from downstream.report.command import write_run_report

    write_run_report(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("report.py", ReportConfig, run, arguments)


if __name__ == "__main__":
    main()
