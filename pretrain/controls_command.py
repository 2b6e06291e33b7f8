"""The command `pretext_controls`: a table for each control, all of them in one file, a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from pretrain.accelerator import check_device, make_accelerator
from pretrain.controls import control_accuracies
from pretrain.files import write_json
from pretrain.intervals import as_dicts
from pretrain.tracking import validation_table


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


def report_controls(config: ControlsConfig) -> int:
    """Print a table for each control and write them all to one file; 1 where one lies above chance."""
    check_device("auto")
    accelerator = make_accelerator("auto", "fp32")
    controls = control_accuracies(config.run, accelerator, config.windows_per_video, config.workers, config.codec)
    above = []
    for control, accuracies in controls.items():
        print(f"\ncontrol: {control}\n{validation_table(as_dicts(accuracies))}", flush=True)
        if control in ("no_signal", "still"):
            above += [f"{task} under {control}" for task, shown in accuracies.items() if shown.ci_low > shown.chance]
    write_json(
        config.out or config.run / "controls.json",
        {control: as_dicts(accuracies) for control, accuracies in controls.items()},
    )
    print(f"\nabove chance without signal: {', '.join(above)}" if above else "\nevery control lies at chance")
    return 1 if above else 0
