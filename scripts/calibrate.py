"""A threshold from normal footage of your own cameras, at a wanted number of false alarms an hour."""

from __future__ import annotations

from collections.abc import Sequence

from downstream.detection.calibrate_config import CalibrateConfig
from pretrain.cli import run_script


def run(config: CalibrateConfig) -> int:
    """The work itself, loaded once the arguments are known."""
    from downstream.detection.calibrate import run_calibration

    return run_calibration(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status; `accelerate launch` it for several processes."""
    run_script("calibrate.py", CalibrateConfig, run, arguments, several_processes=True)


if __name__ == "__main__":
    main()
