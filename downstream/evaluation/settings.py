"""What an evaluation can be asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from downstream.evaluation.ground_truth import TAIL_RULES
from pretrain.errors import UserError, nearest


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """Thresholds, rules and the bootstrap. One threshold serves false alarms and events."""

    threshold: float = 0.5
    """A frame is called anomalous at a score of at least this."""
    tail: str = "hold"
    """Frames past the last snippet: hold (they take its score) or drop (they do not count)."""
    max_fpr: tuple[float, ...] = (0.01, 0.1)
    """False-positive rates at which recall is given."""
    iou: tuple[float, ...] = (0.1, 0.3, 0.5)
    """Overlaps from which on an event counts as found."""
    merge_gap_frames: int = 0
    """Events at most this far apart are one."""
    min_event_frames: int = 1
    """Shorter events are left out."""
    fps: float | None = None
    """Frames per second where the catalogue says none (UCF-Crime: 30); without it no false alarms per hour."""
    resamples: int = 1000
    """Bootstrap draws of videos; 0 leaves intervals out."""
    confidence: float = 0.95
    """Of the intervals."""
    seed: int = 0
    """Of the bootstrap."""

    def __post_init__(self) -> None:
        limits = {
            "tail": (self.tail, self.tail in TAIL_RULES, f"one of {', '.join(TAIL_RULES)}"),
            "max_fpr": (self.max_fpr, all(0 < rate < 1 for rate in self.max_fpr), "rates between 0 and 1"),
            "iou": (self.iou, all(0 < value <= 1 for value in self.iou), "overlaps above 0, at most 1"),
            "merge_gap_frames": (self.merge_gap_frames, self.merge_gap_frames >= 0, "0 or more"),
            "min_event_frames": (self.min_event_frames, self.min_event_frames >= 1, "at least 1"),
            "fps": (self.fps, self.fps is None or 0 < self.fps < math.inf, "a finite number above 0"),
            "resamples": (self.resamples, self.resamples >= 0, "0 or more"),
            "threshold": (self.threshold, math.isfinite(self.threshold), "a finite number"),
            "seed": (self.seed, self.seed >= 0, "0 or more"),
            "confidence": (self.confidence, 0 < self.confidence < 1, "between 0 and 1"),
        }
        for name, (value, fine, limit) in limits.items():
            if not fine:
                hint = nearest(str(value), TAIL_RULES) if name == "tail" else ""
                raise UserError(f"{name} is {value!r}; it must be {limit}{hint}")
