"""The command `pretrain.py`: its arguments, then the run."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pretrain.cli import run_script
from pretrain.config import PretrainConfig
from pretrain.presets import with_preset

PROG = "pretrain.py"


def run(config: PretrainConfig) -> int:
    """The work itself, loaded once the arguments are known."""
    from pretrain.train import pretrain

    return pretrain(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """`accelerate launch pretrain.py CONFIG.yaml [--flag value ...]`."""
    given = list(sys.argv[1:] if arguments is None else arguments)

    def run_preset(parsed: PretrainConfig) -> int:
        return run(with_preset(parsed, given, PROG))

    run_script(PROG, PretrainConfig, run_preset, given, several_processes=True)
