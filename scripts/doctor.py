"""Say everything that features, lists and ground truth disagree about."""

from __future__ import annotations

from collections.abc import Sequence

from downstream.doctor.config import DoctorConfig
from pretrain.cli import run_script


def run(config: DoctorConfig) -> int:
    """The work itself, loaded once the arguments are known."""
    from downstream.doctor.command import diagnose

    return diagnose(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("doctor.py", DoctorConfig, run, arguments)


if __name__ == "__main__":
    main()
