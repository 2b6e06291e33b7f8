"""What scripts/detect.py can be told: files and streams stand on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from downstream.detection.inputs import is_stream
from downstream.detection.live.settings import LiveSettings
from downstream.events.rule import RuleChanges
from downstream.visualisation.film import FilmStyle
from pretrain.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ScoringSettings:
    """How the work is done; no score depends on it."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU where there is one."""
    batch_clips: int = 32
    """Clips encoded at a time."""
    decoders: int | None = None
    """Videos decoded at a time by each process. Default: its share of the machine's cores, at most 8."""
    cache: Path | None = None
    """Folder of caches that other runs left: packet indices are kept in its `index`. Default: they are made anew."""

    def __post_init__(self) -> None:
        for name in ("batch_clips", "decoders"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} is {value}; it must be at least 1")

    @property
    def index(self) -> Path | None:
        """Folder of packet indices."""
        return None if self.cache is None else self.cache / "index"


@dataclass(frozen=True, kw_only=True)
class DetectConfig:
    """Score videos, folders of videos, folders of frames or a camera, and say what was found.

    Writes OUT/events.json, OUT/scores.csv, OUT/report.html and films of what scored highest. Exit status: 0 all was
    scored, 1 some videos could not be, 2 the command itself was wrong, nothing could be scored or a film not be drawn.

        python scripts/detect.py street.mp4                                        # no detector yet: a first look
        python scripts/detect.py street.mp4 --detector runs/detector
        python scripts/detect.py recordings/ --detector package/ --out found/ --films 5
        accelerate launch scripts/detect.py recordings/ --detector package/        # over all GPUs
        python scripts/detect.py rtsp://camera/stream --detector package/          # live, until Ctrl-C

    Live, there is no report, and there are no films.

    Events: a score of at least the threshold begins one, see --threshold. Without a calibration the threshold is a
    guess from training videos; scripts/calibrate.py finds one for your cameras.
    """

    inputs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="INPUT ...")] = field(repr=False)
    """Video files, folders, a folder of frames; or one stream: a URL (rtsp, http) or a device (/dev/video0)."""
    detector: Path | None = None
    """A run of scripts/finetune.py (all its seeds together) or scripts/fit_normal.py, one seed's folder, or a package.
    Default: none; what is unlike the rest of each video, a first look."""
    backbone: tuple[Path, ...] = ()
    """Where the backbone lies, if not where it was when features were extracted; one for each fused feature set."""
    camera: str | None = None
    """The camera that the input is of, as the catalogue that scripts/fit_normal.py was given names it (group): a
    label-free detector then goes by what is usual there. Default: of any."""
    zones: Path | None = None
    """A file of zones, polygons that say which parts of the picture count; docs/cameras.md. Default: the package's."""
    out: Path = Path("runs/detect")
    """Folder for everything that is written."""
    rule: Annotated[RuleChanges, tyro.conf.arg(name="")] = field(default_factory=RuleChanges)
    films: int = 1
    """Films of so many videos with the highest events: heat and boxes, score bar, sound kept."""
    film_style: FilmStyle = "contours"
    """Heat in films: as contours, as colours that glow, or as contours with the frame as it is beside them."""
    report: bool = True
    """Write report.html."""
    frames: bool = False
    """Write frame_scores.csv too, a line for every frame."""
    keep_scores: bool = True
    """Keep the scores of each video in OUT/scored: the same command goes on after a kill, and other thresholds need no
    new scores."""
    status_on_event: int = 0
    """Exit status when anything was found, for scripts: 0 makes no difference."""
    json: bool = False
    """Print the content of events.json instead of words; everything else goes to stderr."""
    scoring: Annotated[ScoringSettings, tyro.conf.arg(name="")] = field(default_factory=ScoringSettings)
    live: LiveSettings = field(default_factory=LiveSettings)

    def __post_init__(self) -> None:
        problems = []
        if self.films < 0:
            problems.append(f"films is {self.films}; it must be 0 or more")
        if not 0 <= self.status_on_event <= 255:
            problems.append(f"status_on_event is {self.status_on_event}; exit statuses are 0 to 255")
        if not self.inputs:
            problems.append("nothing to score: give a video, a folder or a stream")
        if self.live.play and len(self.inputs) > 1:
            problems.append(f"live.play is set, and there are {len(self.inputs)} inputs; it plays one")
        if problems:
            raise UserError("\n".join(problems))

    @property
    def is_live(self) -> bool:
        """Whether the input is watched, not read to its end."""
        return len(self.inputs) == 1 and (self.live.play or is_stream(self.inputs[0]))
