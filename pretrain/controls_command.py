"""The command `pretext_controls`: a table for each control, all of them in one file, a verdict."""

from __future__ import annotations

from pretrain.accelerator import check_device, make_accelerator
from pretrain.controls import control_accuracies
from pretrain.controls_config import ControlsConfig
from pretrain.files import write_json
from pretrain.intervals import as_dicts
from pretrain.tracking import validation_table


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
