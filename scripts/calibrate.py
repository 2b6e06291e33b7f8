"""A threshold from normal footage of your own cameras, at a wanted number of false alarms an hour."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from downstream.detection.calibrate import CalibrateConfig, run_calibration
from pretrain.cli import parse, run_command
from pretrain.launch import start_cpu_processes

PROG = "calibrate.py"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status; `accelerate launch` it for several processes."""
    given = sys.argv[1:] if arguments is None else list(arguments)

    def command() -> int:
        config = parse(CalibrateConfig, given, PROG)
        start_cpu_processes(sys.argv[0], given)
        return run_calibration(config)

    run_command(command)


if __name__ == "__main__":
    main()
