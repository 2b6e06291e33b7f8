"""What scripts/calibrate.py can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from downstream.detection.config import ScoringSettings
from downstream.events.calibration import setting_problems
from downstream.events.rule import MARGIN, MERGE_SECONDS
from pretrain.errors import UserError


@dataclass(frozen=True, kw_only=True)
class CalibrateConfig:
    """Find the threshold at which normal footage raises no more than so many false alarms an hour.

    Everything found in normal footage is a false alarm. Give hours of it, of the cameras that will be watched, day and
    night, weekdays and weekends: an alarm once in ten hours cannot be learnt from one. Writes calibration.json beside
    the detector; scripts/detect.py takes it from there.

        python scripts/calibrate.py normal_footage/ --detector runs/detector --per-hour 0.1
    """

    inputs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="INPUT ...")]
    """Video files, folders, or a folder of frames in which nothing abnormal happens."""
    detector: Path
    """A run of scripts/finetune.py (all seeds together) or scripts/fit_normal.py, one seed's folder, or a package."""
    per_hour: float
    """False alarms that are wanted at most, an hour."""
    backbone: tuple[Path, ...] = ()
    """Where the backbone lies, if not where it was when features were extracted; one for each fused feature set."""
    camera: str | None = None
    """The camera that the footage is of, see scripts/detect.py. Default: of any."""
    margin: float = MARGIN
    """An event goes on while scores are no further below the threshold than this, in log odds."""
    min_seconds: float = 0.0
    """Shorter events are none."""
    merge_seconds: float = MERGE_SECONDS
    """Events at most so far apart are one."""
    group_by: Literal["folder", "video"] = "folder"
    """What is left out in turn, to see how a threshold does on footage that it was not made of: each folder of videos
    (a camera, where every camera has its own), or each video."""
    out: Path | None = None
    """Default: calibration.json beside the detector."""
    scoring: Annotated[ScoringSettings, tyro.conf.arg(name="")] = field(default_factory=ScoringSettings)

    def __post_init__(self) -> None:
        problems = [] if self.inputs else ["no footage: give videos or folders in which nothing abnormal happens"]
        problems += setting_problems(self.per_hour, self.margin, self.min_seconds, self.merge_seconds)
        if problems:
            raise UserError("\n".join(problems))
