"""Watch several cameras in one process, by one file that names them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from downstream.detection.live.cameras.config import WatchConfig, watch_arguments
from pretrain.cli import run_script


def run(config: WatchConfig) -> int:
    """The work itself, loaded once the arguments are known."""
    config.require_file()
    from downstream.detection.live.cameras.command import watch_cameras

    return watch_cameras(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    run_script("watch.py", WatchConfig, run, watch_arguments(given))


if __name__ == "__main__":
    main()
