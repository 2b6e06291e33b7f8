"""Say everything that features, lists and ground truth disagree about."""

from __future__ import annotations

from collections.abc import Sequence

from downstream.doctor.command import DoctorConfig, diagnose
from pretrain.cli import run_script


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("doctor.py", DoctorConfig, diagnose, arguments)


if __name__ == "__main__":
    main()
