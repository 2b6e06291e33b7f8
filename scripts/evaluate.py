"""Evaluate score files or fine-tuning runs against the ground truth of a catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from downstream.analysis.evaluate_runs import EvaluateConfig, evaluate_runs, output_folder
from pretrain.cli import run_script


def written_folder(config: EvaluateConfig) -> Path | None:
    """Where the files go; None where an input is not there, which the command says."""
    return output_folder(config) if all(path.exists() for path in config.inputs) else None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("evaluate.py", EvaluateConfig, evaluate_runs, arguments, writes=written_folder)


if __name__ == "__main__":
    main()
