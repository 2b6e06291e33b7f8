"""The command `make_demo_videos`: its settings, a progress bar, what was made."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from demo.world.build import build_demo_set


@dataclass(frozen=True, kw_only=True)
class RenderConfig:
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


def render_demo_set(config: RenderConfig) -> None:
    """Render what is not there yet, and say what came of it."""
    start = time.perf_counter()
    with tqdm(total=config.cameras * config.videos_per_camera, unit="video", disable=None) as bar:
        made = build_demo_set(
            config.out,
            seed=config.seed,
            cameras=config.cameras,
            videos_per_camera=config.videos_per_camera,
            workers=config.workers,
            progress=bar.update,
        )
    if not made:
        print(f"up to date: {config.out}")
        return
    videos = list((config.out / "videos").glob("*.mp4"))
    megabytes = sum(video.stat().st_size for video in videos) / 1e6
    print(f"{len(videos)} videos, {megabytes:.0f} MB, {time.perf_counter() - start:.0f} s: {config.out}")
