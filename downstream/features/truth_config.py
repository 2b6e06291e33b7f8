"""What scripts/import_ground_truth.py can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pretrain.errors import UserError

FRAMES = 16
"""Frames for each row of the features, as those who ship flat ground truth count."""


@dataclass(frozen=True, kw_only=True)
class TruthConfig:
    """Make a CSV catalogue (labels, splits, anomalous frames) of the lists and ground truth of another code base.

    Read are lists of feature files (a path a line, all abnormal first or named by their class; VadCLIP's CSV with
    path,label), flat gt*.npy with the list that orders it, and XD-Violence's annotations.txt. Everything is checked
    before anything is written.

        python scripts/import_ground_truth.py --test rgb-test.list --train rgb.list --gt gt-ucf.npy --strip _i3d \\
            --features features/i3d --out lists/ucf.csv
        python scripts/finetune.py --features.sets features/i3d --output runs/i3d --catalogue.kind csv \\
            --catalogue.annotations lists/ucf.csv
    """

    test: Path
    """The list of the test videos, in the order of the ground truth."""
    out: Path
    """The CSV to write."""
    train: tuple[Path, ...] = ()
    """Lists of the training videos."""
    gt: Path | None = None
    """Flat ground truth: a number for each frame of all test videos, in the order of --test."""
    annotations: Path | None = None
    """XD-Violence's annotations.txt, in place of --gt."""
    features: Path | None = None
    """A feature set of the test videos, for their lengths: the one that the ground truth was made for, imported."""
    grid: Path | None = None
    """CSV with name,snippet_frames,frames[,fps]: frames of test videos, where features do not say or are not there."""
    strip: str = ""
    """An ending of the listed names that is no part of the video's, e.g. _i3d."""
    abnormal_first: int | None = None
    """So many videos at the top of each training list are abnormal, the others normal, where names do not say it
    (ShanghaiTech's weak split: 63)."""
    frames_per_snippet: int = FRAMES
    """Frames of the ground truth for each row of the features."""
    fps: float | None = None
    """Frames per second of all videos, for alarms per hour (UCF-Crime: 30)."""

    def __post_init__(self) -> None:
        if (self.gt is None) == (self.annotations is None):
            raise UserError("give either --gt, a flat array, or --annotations, XD-Violence's annotations.txt")
        if self.gt is not None and self.features is None and self.grid is None:
            raise UserError("--gt does not say where a video ends: give --features, the set it was made for, or --grid")
        if self.frames_per_snippet < 1 or (self.fps is not None and not 0 < self.fps < 1e6):
            raise UserError(f"frames_per_snippet is {self.frames_per_snippet}, fps {self.fps}; both must be above 0")
