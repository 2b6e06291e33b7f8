"""What detects where no detector was given: the shipped backbone, and what is unlike the rest of the same video."""

from __future__ import annotations

from pathlib import Path

UNFITTED_FOLDER = Path(__file__).parent / "unfitted"
"""A package (see `detection.package`) of a label-free detector whose scores are relative to each video itself."""
UNFITTED_NOTE = (
    "A first look, since no --detector was given: it marks what is unlike the rest of the same video. Whether that is\n"
    "abnormal it cannot know, and a video in which nothing happens has its most unusual moment too (real fights it\n"
    "places worse than plain motion does). Better: fit what is ordinary to your own footage, without labels\n"
    "(scripts/fit_normal.py), or learn from one label a video (scripts/finetune.py), and calibrate either\n"
    "(scripts/calibrate.py); docs/detection.md"
)


def or_unfitted(detector: Path | None) -> Path:
    """The detector that was given, else the package that needs none."""
    return UNFITTED_FOLDER if detector is None else detector
