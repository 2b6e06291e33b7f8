"""A threshold from normal footage of your own cameras, at a wanted number of false alarms an hour."""

from __future__ import annotations

from collections.abc import Sequence

from downstream.detection.calibrate import CalibrateConfig, run_calibration
from pretrain.cli import run_script


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status; `accelerate launch` it for several processes."""
    run_script("calibrate.py", CalibrateConfig, run_calibration, arguments, several_processes=True)


if __name__ == "__main__":
    main()
