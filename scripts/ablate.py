"""Ablations in one command: `python scripts/ablate.py CONFIG.yaml [--flag value ...]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from downstream.ablation.config import AblationConfig, read_config
from pretrain.cli import run_command

PROG = "ablate.py"


def run(config: AblationConfig) -> int:
    """The work itself, loaded once the arguments are known."""
    from downstream.ablation.run import ablate

    return ablate(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    run_command(lambda: run(read_config(given, PROG)))


if __name__ == "__main__":
    main()
