"""The command `demo`: it has no settings."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pretrain.cli import run_command
from pretrain.errors import UserError

USAGE = """usage: anomaly-pretext demo      (in a checkout also: make demo)

The whole road on videos that are rendered here: pretrain a backbone, extract features, train detectors on labels of
videos, evaluate, report. It takes minutes on two CPU cores and writes runs/demo below the working directory; called
again, it goes on where it stopped."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it and leave with its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)

    def command() -> None:
        if {"-h", "--help"} & set(given):
            print(USAGE)
            return
        if given:
            raise UserError(f"the demo takes no arguments ({' '.join(given)}); it writes runs/demo")
        from demo.road import demo

        demo()

    run_command(command)
