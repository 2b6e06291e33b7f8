"""Put a trained model into one folder: backbone, detectors, calibration, card."""

from __future__ import annotations

from collections.abc import Sequence

from downstream.detection.package import PackageConfig, package
from pretrain.cli import run_script


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("package.py", PackageConfig, package, arguments)


if __name__ == "__main__":
    main()
