"""Make a catalogue of the lists and ground truth that other code bases ship with their features."""

from __future__ import annotations

from collections.abc import Sequence

from downstream.features.truth_config import TruthConfig
from pretrain.cli import run_script


def run(config: TruthConfig) -> None:
    """The work itself, loaded once the arguments are known."""
    from downstream.features.truth_command import import_truth

    import_truth(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("import_ground_truth.py", TruthConfig, run, arguments)


if __name__ == "__main__":
    main()
