"""Read feature files of other code bases into a feature set, write them back, or say what a set holds."""

from __future__ import annotations

from collections.abc import Sequence

from downstream.features.import_command import ImportConfig, import_or_export
from pretrain.cli import run_script


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("import_features.py", ImportConfig, import_or_export, arguments, writes=lambda config: config.out)


if __name__ == "__main__":
    main()
