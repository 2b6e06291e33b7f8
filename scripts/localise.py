"""Where the anomalies of a run's test videos are: boxes, tubes, figures against annotated boxes, pictures, films."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from downstream.analysis.localise import LocaliseConfig, localise, output_folder
from pretrain.cli import run_script


def written_folder(config: LocaliseConfig) -> Path | None:
    """Where everything goes; None where there is no run, which the command says."""
    return output_folder(config).path if config.run.is_dir() else None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("localise.py", LocaliseConfig, localise, arguments, writes=written_folder)


if __name__ == "__main__":
    main()
