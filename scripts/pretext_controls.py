"""Are the pretext tasks solved by what they are about? Their accuracies with the signal taken away."""

from __future__ import annotations

from collections.abc import Sequence

from pretrain.cli import run_script
from pretrain.controls_command import ControlsConfig, report_controls


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("pretext_controls.py", ControlsConfig, report_controls, arguments)


if __name__ == "__main__":
    main()
