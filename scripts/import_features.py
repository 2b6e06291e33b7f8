"""Read feature files of other code bases into a feature set, write them back, or say what a set holds."""

from __future__ import annotations

from collections.abc import Sequence

from downstream.features.import_config import ImportConfig
from pretrain.cli import run_script


def run(config: ImportConfig) -> None:
    """The work itself, loaded once the arguments are known."""
    from downstream.features.import_command import import_or_export

    import_or_export(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("import_features.py", ImportConfig, run, arguments, writes=lambda config: config.out)


if __name__ == "__main__":
    main()
