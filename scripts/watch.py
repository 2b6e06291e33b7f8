"""Watch several cameras in one process, by one file that names them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from downstream.detection.live.cameras.command import WatchConfig, watch_arguments, watch_cameras
from pretrain.cli import run_script

PROG = "watch.py"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    run_script(PROG, WatchConfig, watch_cameras, watch_arguments(given))


if __name__ == "__main__":
    main()
