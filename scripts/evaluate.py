"""Evaluate score files or fine-tuning runs against the ground truth of a catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from downstream.analysis.evaluate_runs import EvaluateConfig, evaluate_runs, output_folder
from pretrain.cli import run_script


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("evaluate.py", EvaluateConfig, evaluate_runs, arguments, writes=output_folder)


if __name__ == "__main__":
    main()
