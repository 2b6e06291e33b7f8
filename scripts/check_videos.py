"""Check every video of a catalogue and write a list of those to leave out."""

from __future__ import annotations

from collections.abc import Sequence

from pretrain.cli import run_script
from pretrain.data.check_command import CheckVideosConfig, check_catalogue


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("check_videos.py", CheckVideosConfig, check_catalogue, arguments)


if __name__ == "__main__":
    main()
