"""The command `pretrain.py`: its arguments, then the run."""

from __future__ import annotations

from collections.abc import Sequence

from pretrain.cli import run_script
from pretrain.config import PretrainConfig


def run(config: PretrainConfig) -> int:
    """The work itself, loaded once the arguments are known."""
    from pretrain.train import pretrain

    return pretrain(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """`accelerate launch pretrain.py CONFIG.yaml [--flag value ...]`."""
    run_script("pretrain.py", PretrainConfig, run, arguments, several_processes=True)
