"""Render the demonstration videos: surveillance-like scenes with labelled anomalies.

    python -m scripts.make_demo_videos data/demo

The same seed gives the same frames. A second call with the same arguments finds the set up to date.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from demo.world.build import build_demo_set
from pretrain.errors import UserError


@dataclass(frozen=True)
class Arguments:
    """Render the demonstration videos and their ground truth."""

    out: Annotated[Path, tyro.conf.Positional]
    """Folder to write: videos/, annotations/, demo_set.json."""
    seed: int = 0
    """Same seed, same frames."""
    cameras: int = 16
    """Number of fixed cameras; about a quarter of them is for testing only."""
    videos_per_camera: int = 6
    """Videos of each camera, 12 to 20 s each; about half are abnormal."""
    workers: int = os.cpu_count() or 1
    """Processes that render."""


def main() -> int:
    """Returns the exit status: 0, or 2 where the arguments cannot be used."""
    arguments = tyro.cli(Arguments)
    start = time.perf_counter()
    try:
        with tqdm(total=arguments.cameras * arguments.videos_per_camera, unit="video", disable=None) as bar:
            made = build_demo_set(
                arguments.out,
                seed=arguments.seed,
                cameras=arguments.cameras,
                videos_per_camera=arguments.videos_per_camera,
                workers=arguments.workers,
                progress=bar.update,
            )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not made:
        print(f"up to date: {arguments.out}")
        return 0
    videos = list((arguments.out / "videos").glob("*.mp4"))
    megabytes = sum(video.stat().st_size for video in videos) / 1e6
    print(f"{len(videos)} videos, {megabytes:.0f} MB, {time.perf_counter() - start:.0f} s: {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
