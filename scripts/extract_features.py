"""Extract the features of a catalogue's videos with any backbone."""

from __future__ import annotations

from collections.abc import Sequence

from downstream.features.config import ExtractConfig
from pretrain.cli import run_script


def run(config: ExtractConfig) -> int:
    """The work itself, loaded once the arguments are known."""
    from downstream.features.extract import extract

    return extract(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status; `accelerate launch` it for several processes."""
    run_script("extract_features.py", ExtractConfig, run, arguments, several_processes=True)


if __name__ == "__main__":
    main()
