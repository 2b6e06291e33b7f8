"""Fit a label-free detector to footage that is mostly normal: `scripts/fit_normal.py CONFIG.yaml [--flag value]`."""

from __future__ import annotations

from collections.abc import Sequence

from downstream.normality.config import FitNormalConfig
from pretrain.cli import run_script


def run(config: FitNormalConfig) -> int:
    """The work itself, loaded once the arguments are known."""
    from downstream.normality.command import run_fit

    return run_fit(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("fit_normal.py", FitNormalConfig, run, arguments, writes=lambda config: config.output)


if __name__ == "__main__":
    main()
