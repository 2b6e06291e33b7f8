"""Train a detector on video labels alone: `python scripts/finetune.py CONFIG.yaml [--flag value ...]`, or with
`accelerate launch scripts/finetune.py ...` on several GPUs."""

from __future__ import annotations

import sys

from downstream.training.config import FinetuneConfig
from downstream.training.finetune import finetune
from pretrain.cli import parse, run_command
from pretrain.launch import start_cpu_processes


def main() -> int:
    """Parse, train, score."""
    config = parse(FinetuneConfig, sys.argv[1:], "finetune.py")
    start_cpu_processes(sys.argv[0], sys.argv[1:])
    return finetune(config)


if __name__ == "__main__":
    run_command(main)
