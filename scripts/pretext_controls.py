"""Are the pretext tasks solved by what they are about? Their accuracies with the signal taken away."""

from __future__ import annotations

from collections.abc import Sequence

from pretrain.cli import run_script
from pretrain.controls_config import ControlsConfig


def run(config: ControlsConfig) -> int:
    """The work itself, loaded once the arguments are known."""
    from pretrain.controls_command import report_controls

    return report_controls(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("pretext_controls.py", ControlsConfig, run, arguments)


if __name__ == "__main__":
    main()
