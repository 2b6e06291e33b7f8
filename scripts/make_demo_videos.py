"""Render the demonstration videos: surveillance-like scenes with labelled anomalies.

    python scripts/make_demo_videos.py data/demo

The same seed gives the same frames. A second call with the same arguments finds the set up to date.
"""

from __future__ import annotations

from collections.abc import Sequence

from demo.world.command import RenderConfig, render_demo_set
from pretrain.cli import run_script


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("make_demo_videos.py", RenderConfig, render_demo_set, arguments, writes=lambda config: config.out)


if __name__ == "__main__":
    main()
