"""Footage from Python: lists of videos, frames of any of them, and rendered ones to try things on."""

from __future__ import annotations

import os
from pathlib import Path

from anomaly_pretext.configuration import Settings, settings
from demo.world.build import build_demo_set
from pretrain.data.catalogue import Catalogue, CatalogueConfig
from pretrain.data.catalogues import open_catalogue as open_known
from pretrain.data.video import read_frames

__all__ = ["open_catalogue", "read_frames", "render_videos"]


def open_catalogue(*config: CatalogueConfig | Settings) -> Catalogue:
    """All videos of a dataset, with what is known of them: `open_catalogue({"kind": "csv", "root": "videos"})`.

    Nothing is decoded. UserError: every problem of the lists at once.
    """
    return open_known(settings(CatalogueConfig, *config))


def render_videos(folder: str | Path, *, cameras: int = 4, videos_per_camera: int = 4, seed: int = 0) -> Path:
    """Surveillance-like videos with labelled anomalies, rendered here: a catalogue of kind `json`, about half abnormal.

    A quarter of the cameras is for testing. The same arguments give the same frames, and nothing is rendered twice.
    Returns the folder. UserError: something else is there.
    """
    workers = os.cpu_count() or 1
    build_demo_set(Path(folder), seed=seed, cameras=cameras, videos_per_camera=videos_per_camera, workers=workers)
    return Path(folder)
