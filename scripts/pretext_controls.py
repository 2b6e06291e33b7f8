"""Are the pretext tasks solved by what they are about? Their accuracies with the signal taken away."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from accelerate import Accelerator

from pretrain.cli import parse, run_command
from pretrain.controls import control_accuracies
from pretrain.files import write_json
from pretrain.intervals import as_dicts
from pretrain.tracking import validation_table


@dataclass(frozen=True)
class Options:
    """Accuracy of a run's tasks on its held-out videos, as they are and with their signal taken away.

    none: the tasks as trained. no_signal: segments put in order, one stride for all, motion there and back, splices
    mended; labels stay. still: every clip repeats one frame. Both controls must lie at chance: an interval above it
    means that something else gives the label away. Exit status 1 if one does.

        python scripts/pretext_controls.py runs/demo/pretrain
    """

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of a pretraining run."""
    codec: bool = False
    """Also encode the held-out videos again, as they are and last frame first. A reversed film must be called backward:
    arrow of time is then wrong about as often as it was right."""
    windows_per_video: int = 16
    """Windows of each held-out video."""
    workers: int = 2
    """Reading processes."""
    out: Path | None = None
    """Write the figures here as JSON; default: RUN/controls.json."""


def main() -> int:
    """Print a table for each control and write them all to one file."""
    options = parse(Options, sys.argv[1:], "pretext_controls.py")
    found = control_accuracies(options.run, Accelerator(), options.windows_per_video, options.workers, options.codec)
    above = []
    for control, accuracies in found.items():
        print(f"\ncontrol: {control}\n{validation_table(as_dicts(accuracies))}", flush=True)
        if control in ("no_signal", "still"):
            above += [f"{task} under {control}" for task, entry in accuracies.items() if entry.ci_low > entry.chance]
    write_json(
        options.out or options.run / "controls.json",
        {control: as_dicts(accuracies) for control, accuracies in found.items()},
    )
    print(f"\nabove chance without signal: {', '.join(above)}" if above else "\nevery control lies at chance")
    return 1 if above else 0


if __name__ == "__main__":
    run_command(main)
