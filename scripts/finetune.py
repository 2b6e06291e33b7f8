"""Train a detector on video labels alone: `python scripts/finetune.py CONFIG.yaml [--flag value ...]`, or with
`accelerate launch scripts/finetune.py ...` on several GPUs."""

from __future__ import annotations

from collections.abc import Sequence

from downstream.training.config import FinetuneConfig
from pretrain.cli import run_script


def run(config: FinetuneConfig) -> int:
    """The work itself, loaded once the arguments are known."""
    from downstream.training.finetune import finetune

    return finetune(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("finetune.py", FinetuneConfig, run, arguments, several_processes=True)


if __name__ == "__main__":
    main()
