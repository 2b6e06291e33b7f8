"""Put a trained model into one folder: backbone, detectors, calibration, card."""

from __future__ import annotations

from collections.abc import Sequence

from downstream.detection.package_config import PackageConfig
from pretrain.cli import run_script


def run(config: PackageConfig) -> None:
    """The work itself, loaded once the arguments are known."""
    from downstream.detection.package import package

    package(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("package.py", PackageConfig, run, arguments)


if __name__ == "__main__":
    main()
