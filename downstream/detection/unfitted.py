"""What detects where no detector was given: the shipped backbone, and what is unlike the rest of the same video."""

from __future__ import annotations

from pathlib import Path

UNFITTED_FOLDER = Path(__file__).parent / "unfitted"
"""A package (see `detection.package`) of a label-free detector whose scores are relative to each video itself."""
UNFITTED_NOTE = (
    "no --detector: this says what is unlike the rest of the same video (how much features change and the picture\n"
    "moves, how far features lie from the video's own), by a small network that has seen rendered footage alone. It\n"
    "knows no camera and no anomaly (real fights it places worse than plain motion does): a first look. Better, in\n"
    "this order: fit what is ordinary to your own footage, without labels (scripts/fit_normal.py); learn from one\n"
    "label a video (scripts/finetune.py); docs/detection.md"
)


def or_unfitted(detector: Path | None) -> Path:
    """The detector that was given, else the package that needs none."""
    return UNFITTED_FOLDER if detector is None else detector
