"""Where the anomalies of a run's test videos are: boxes, tubes, figures against annotated boxes, pictures, films."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from downstream.analysis.localise_config import LocaliseConfig
from pretrain.cli import run_script


def run(config: LocaliseConfig) -> None:
    """The work itself, loaded once the arguments are known."""
    from downstream.analysis.localise import localise

    localise(config)


def written_folder(config: LocaliseConfig) -> Path | None:
    """Where everything goes; None where there is no run, which the command says."""
    from downstream.analysis.localise import output_folder

    return output_folder(config).path if config.run.is_dir() else None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("localise.py", LocaliseConfig, run, arguments, writes=written_folder)


if __name__ == "__main__":
    main()
