"""What an evaluation can be asked for."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from downstream.evaluation.ground_truth import TAIL_RULES
from downstream.events.rule import MARGIN, MERGE_SECONDS, MIN_SECONDS, AlarmRule, rule_with_margin
from pretrain.errors import UserError, nearest


@dataclass(frozen=True, kw_only=True)
class BootstrapSettings:
    """How intervals are drawn, and what every evaluation counts by."""

    tail: str = "hold"
    """Frames past the last snippet: hold (they take its score) or drop (they do not count)."""
    iou: tuple[float, ...] = (0.1, 0.3, 0.5)
    """Overlaps from which on an event, or an annotated box, counts as found."""
    resamples: int = 1000
    """Bootstrap draws of videos; 0 leaves intervals out."""
    confidence: float = 0.95
    """Of the intervals."""
    seed: int = 0
    """Of the bootstrap."""

    def __post_init__(self) -> None:
        for name, (value, fine, limit) in self._limits().items():
            if not fine:
                hint = nearest(str(value), TAIL_RULES) if name == "tail" else ""
                raise UserError(f"{name} is {value!r}; it must be {limit}{hint}")

    def _limits(self) -> dict[str, tuple[Any, bool, str]]:
        """Setting -> its value, is that fine, what it must be."""
        return {
            "tail": (self.tail, self.tail in TAIL_RULES, f"one of {', '.join(TAIL_RULES)}"),
            "iou": (self.iou, all(0 < value <= 1 for value in self.iou), "overlaps above 0, at most 1"),
            "resamples": (self.resamples, self.resamples >= 0, "0 or more"),
            "confidence": (self.confidence, 0 < self.confidence < 1, "between 0 and 1"),
            "seed": (self.seed, self.seed >= 0, "0 or more"),
        }


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings(BootstrapSettings):
    """Thresholds, rules and the bootstrap. One threshold serves false alarms and events."""

    threshold: float = 0.5
    """A frame is called anomalous, and an event begins, at a score of at least this."""
    release: float | None = None
    """An event goes on while scores are at least this. Default: 2 below the threshold in log odds, as in detection."""
    min_seconds: float = MIN_SECONDS
    """Shorter events are none."""
    merge_seconds: float = MERGE_SECONDS
    """Events at most so far apart are one."""
    max_fpr: tuple[float, ...] = (0.01, 0.1)
    """False-positive rates at which recall is given."""
    max_alarms_per_hour: tuple[float, ...] = (1, 6, 24)
    """False alarms per hour at which the share of anomalies found is given; none: no curve of them either."""
    fps: float | None = None
    """Frames per second where the catalogue says none (UCF-Crime: 30); without it no false alarms per hour, and the
    seconds of events are of 30 frames."""

    def _limits(self) -> dict[str, tuple[Any, bool, str]]:
        return super()._limits() | {
            "max_fpr": (self.max_fpr, all(0 < rate < 1 for rate in self.max_fpr), "rates between 0 and 1"),
            "max_alarms_per_hour": (
                self.max_alarms_per_hour,
                all(0 <= rate < math.inf for rate in self.max_alarms_per_hour),
                "finite numbers, 0 or more",
            ),
            "fps": (self.fps, self.fps is None or 0 < self.fps < math.inf, "a finite number above 0"),
            "threshold": (self.threshold, math.isfinite(self.threshold), "a finite number"),
        }

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rule()  # says what is wrong with one

    def rule(self) -> AlarmRule:
        """What an event is: the alarms of a detector with this threshold. UserError where there is no such rule."""
        usual = rule_with_margin(self.threshold, MARGIN, self.min_seconds, self.merge_seconds)
        return usual if self.release is None else dataclasses.replace(usual, release=self.release)

    @property
    def margin(self) -> float:
        """How far the release lies below any threshold, in log odds, while thresholds are gone through."""
        return MARGIN if self.release is None else max(0.0, self.rule().margin)


@dataclass(frozen=True, kw_only=True)
class LocalisationSettings(BootstrapSettings):
    """Rules, overlaps and the bootstrap."""

    tiou_score: float = 0.5
    """TIoU counts frames whose highest cell scores at least this."""

    def _limits(self) -> dict[str, tuple[Any, bool, str]]:
        return super()._limits() | {"tiou_score": (self.tiou_score, math.isfinite(self.tiou_score), "a finite number")}
