"""Published detectors and ours on one feature set: `python scripts/compare.py FEATURES ... [--flag value ...]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from downstream.comparison.config import Request, read_request
from pretrain.cli import run_command

PROG = "compare.py"


def run(request: Request) -> int:
    """The work itself, loaded once the arguments are known."""
    from downstream.comparison.compare import compare_detectors

    return compare_detectors(request, PROG)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    run_command(lambda: run(read_request(given, PROG)))


if __name__ == "__main__":
    main()
