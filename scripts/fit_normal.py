"""Fit a label-free detector to footage that is mostly normal: `scripts/fit_normal.py CONFIG.yaml [--flag value]`."""

from __future__ import annotations

from collections.abc import Sequence

from downstream.normality.command import FitNormalConfig, run_fit
from pretrain.cli import run_script


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("fit_normal.py", FitNormalConfig, run_fit, arguments, writes=lambda config: config.output)


if __name__ == "__main__":
    main()
