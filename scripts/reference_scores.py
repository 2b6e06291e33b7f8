"""Scores that need no learning, of a finished run's test videos: what its figures are to be held against."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from downstream.references.config import ReferencesConfig
from pretrain.cli import run_script


def written_folder(config: ReferencesConfig) -> Path | None:
    """The run's; None where there is none, which the command says."""
    return config.run if config.run.is_dir() else None


def run(config: ReferencesConfig) -> int:
    """The work itself, loaded once the arguments are known."""
    from downstream.references.command import write_references

    return write_references(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("reference_scores.py", ReferencesConfig, run, arguments, writes=written_folder)


if __name__ == "__main__":
    main()
