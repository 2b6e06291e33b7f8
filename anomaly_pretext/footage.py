"""Footage from Python: lists of videos, frames of any of them, and rendered ones to try things on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomaly_pretext.arguments import as_path, as_whole, in_python, shortly
from anomaly_pretext.configuration import Settings, settings
from demo.world.build import build_demo_set
from pretrain.data.catalogue import Catalogue, CatalogueConfig
from pretrain.data.catalogues import open_catalogue as open_known
from pretrain.data.video import IndexCache
from pretrain.data.video import read_frames as read_known
from pretrain.errors import UserError

__all__ = ["open_catalogue", "read_frames", "render_videos"]


@in_python
def open_catalogue(*config: CatalogueConfig | Settings) -> Catalogue:
    """All videos of a dataset, with what is known of them: `open_catalogue({"kind": "csv", "root": "videos"})`.

    Nothing is decoded. UserError: every problem of the lists at once.
    """
    return open_known(settings(CatalogueConfig, *config))


@in_python
def read_frames(
    path: str | Path,
    indices: Sequence[int] | NDArray[np.int64],
    *,
    size: tuple[int, int] | None = None,
    reader: str = "pyav",
    cache: IndexCache | None = None,
) -> NDArray[np.uint8]:
    """Frames by number, RGB uint8 `(len(indices), height, width, 3)`, as they are displayed: turned, square pixels.

    `indices` may come in any order and repeat; `size` is `(height, width)`, None the video's own. UserError: a file
    that cannot be read, no such frame.
    """
    file = as_path("path", path, "the path of a video")
    asked = np.asarray(indices)
    if asked.size and asked.dtype.kind not in "iu":
        raise UserError(f"indices are {shortly(indices)}; give whole numbers, frames count from 0")
    return read_known(file, asked.astype(np.int64), size=size, reader=reader, cache=cache)


@in_python
def render_videos(folder: str | Path, *, cameras: int = 4, videos_per_camera: int = 4, seed: int = 0) -> Path:
    """Surveillance-like videos with labelled anomalies, rendered here: a catalogue of kind `json`, about half abnormal.

    A quarter of the cameras is for testing. The same arguments give the same frames, and nothing is rendered twice.
    Returns the folder. UserError: something else is there.
    """
    target, workers = as_path("folder", folder, "a folder for the videos"), os.cpu_count() or 1
    for name, value in (("cameras", cameras), ("videos_per_camera", videos_per_camera), ("seed", seed)):
        as_whole(name, value)
    build_demo_set(target, seed=seed, cameras=cameras, videos_per_camera=videos_per_camera, workers=workers)
    return target
