"""Score a video, a folder of them, or a camera; events, a report, films."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from downstream.detection.config import DetectConfig
from pretrain.cli import parse, run_command
from pretrain.launch import start_cpu_processes

PROG = "detect.py"


def run(config: DetectConfig) -> int:
    """The work itself, loaded once the arguments are known."""
    if config.is_live:
        from downstream.detection.live.watch import watch

        return watch(config)
    from downstream.detection.detect import detect

    return detect(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status; `accelerate launch` it for several processes."""
    given = sys.argv[1:] if arguments is None else list(arguments)

    def command() -> int:
        config = parse(DetectConfig, given, PROG)
        if not config.is_live and (status := start_cpu_processes(sys.argv[0], given)) is not None:
            return status
        return run(config)

    run_command(command)


if __name__ == "__main__":
    main()
