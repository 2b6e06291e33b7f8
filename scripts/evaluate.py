"""Evaluate score files or fine-tuning runs against the ground truth of a catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from downstream.analysis.evaluate_config import EvaluateConfig
from pretrain.cli import run_script


def run(config: EvaluateConfig) -> None:
    """The work itself, loaded once the arguments are known."""
    from downstream.analysis.evaluate_runs import evaluate_runs

    evaluate_runs(config)


def written_folder(config: EvaluateConfig) -> Path | None:
    """Where the files go; None where an input is not there, which the command says."""
    from downstream.analysis.evaluate_runs import output_folder

    return output_folder(config) if all(path.exists() for path in config.inputs) else None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("evaluate.py", EvaluateConfig, run, arguments, writes=written_folder)


if __name__ == "__main__":
    main()
