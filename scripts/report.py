"""One self-contained HTML page of a run: scores over time, events, false alarms at any threshold, pictures."""

from __future__ import annotations

from collections.abc import Sequence

from downstream.report.command import ReportConfig, write_run_report
from pretrain.cli import run_script


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("report.py", ReportConfig, write_run_report, arguments)


if __name__ == "__main__":
    main()
