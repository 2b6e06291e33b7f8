"""Where the anomalies of a run's test videos are: boxes, tubes, figures against annotated boxes, pictures, films."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from downstream.localisation.localise import LocaliseConfig, localise
from pretrain.cli import parse, run_command

PROG = "localise.py"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    run_command(lambda: localise(parse(LocaliseConfig, given, PROG)))


if __name__ == "__main__":
    main()
