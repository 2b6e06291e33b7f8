"""Where the anomalies of a run's test videos are: boxes, tubes, figures against annotated boxes, pictures, films."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from downstream.localisation.localise import LocaliseConfig, localise
from pretrain.cli import parse, run_command
from pretrain.data.catalogue import CatalogueConfig
from pretrain.errors import UserError
from scripts.evaluate import own_catalogue

PROG = "localise.py"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)

    def run() -> None:
        config = parse(LocaliseConfig, given, PROG)
        trained_with = catalogue_of(config.run)
        if config.catalogue == CatalogueConfig():  # none was given
            config = dataclasses.replace(config, catalogue=trained_with)
        localise(config, trained_with)

    run_command(run)


def catalogue_of(run: Path) -> CatalogueConfig:
    """The catalogue that a run was trained with; UserError where the folder is none of a run."""
    if not (run / "config.json").is_file():
        raise UserError(f"{run} holds no config.json: give a run folder of scripts/finetune.py")
    return parse(LocaliseConfig, [*own_catalogue([str(run)]), str(run)], PROG).catalogue


if __name__ == "__main__":
    main()
