"""Extract the features of a catalogue's videos with any backbone."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from downstream.features.extract import ExtractConfig, extract
from pretrain.cli import parse, run_command
from pretrain.launch import start_cpu_processes

PROG = "extract_features.py"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status; `accelerate launch` it for several processes."""
    given = sys.argv[1:] if arguments is None else arguments

    def command() -> int:
        config = parse(ExtractConfig, given, PROG)
        start_cpu_processes(sys.argv[0], given)
        return extract(config)

    run_command(command)


if __name__ == "__main__":
    main()
