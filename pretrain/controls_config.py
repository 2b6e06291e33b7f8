"""What scripts/pretext_controls.py can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True, kw_only=True)
class ControlsConfig:
    """Accuracy of a run's tasks on its validation videos, as they are and with their signal taken away.

    none: the tasks as trained. no_signal: segments put in order, one stride for all, motion there and back, splices
    mended; labels stay. still: every clip repeats one frame. Both controls must lie at chance: an interval above it
    means that something else gives the label away. Exit status 1 if one does.

        python scripts/pretext_controls.py runs/demo/pretrain
    """

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of a pretraining run."""
    codec: bool = False
    """Also encode validation videos again, as they are and last frame first. A reversed film must be called backward:
    arrow of time is then wrong about as often as it was right."""
    windows_per_video: int = 16
    """Windows of each validation video."""
    workers: int = 2
    """Reading processes."""
    out: Path | None = None
    """Write the figures here as JSON; default: RUN/controls.json."""
