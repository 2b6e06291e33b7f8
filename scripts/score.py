"""Score new features by a trained detector: a feature set, or feature files in any layout; no video is needed."""

from __future__ import annotations

from collections.abc import Sequence

from downstream.detection.score_config import ScoreConfig
from pretrain.cli import run_script


def run(config: ScoreConfig) -> None:
    """The work itself, loaded once the arguments are known."""
    from downstream.detection.score_command import score

    score(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("score.py", ScoreConfig, run, arguments, writes=lambda config: config.out)


if __name__ == "__main__":
    main()
