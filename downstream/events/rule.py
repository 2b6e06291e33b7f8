"""When scores are an event: one rule for detection, streams, calibration, evaluation, reports and pictures.

    threshold |........######......##..........        an event begins at a score of at least `threshold`,
    release   |......##########..######........        goes on while scores are at least `release`,
              |        [----------------)              and two that are at most `merge_seconds` apart are one;
                                                       what lasts less than `min_seconds` is none

Two levels (hysteresis) keep a score that trembles at one of them from raising an alarm every second.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from pretrain.errors import UserError, problem_list

MARGIN, MIN_SECONDS, MERGE_SECONDS = 2.0, 0.0, 1.0
"""Of the rule where there is no calibration: log odds of hysteresis, seconds that an event lasts at least, and seconds
between events that are one [ours]. The margin was chosen on rendered videos (docs/results.md): with 1, one alarm is
torn apart and counts as several; with 4, events swallow half of a video."""
SLACK_SECONDS = 0.005
"""By which lengths and gaps may miss the rule's: times of frames are rounded to milliseconds in many files."""
FALLBACK_FPS = 30.0
"""Frames per second of a video of which nobody says it: rules count in seconds [an assumption]."""


@dataclass(frozen=True, kw_only=True)
class AlarmRule:
    """When scores are an event."""

    threshold: float
    """An event begins with a snippet whose score is at least this."""
    release: float
    """It goes on while scores are at least this; never above `threshold`. Equal: no hysteresis."""
    min_seconds: float = 0.0
    """Events that last less are left out."""
    merge_seconds: float = 0.0
    """Events at most so far apart are one."""

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {getattr(self, name)}; it must be a number"
            for name in ("threshold", "release")
            if not math.isfinite(getattr(self, name))
        ]
        if self.release > self.threshold:
            problems.append(f"release is {self.release}, above threshold {self.threshold}; it must not be")
        for name in ("min_seconds", "merge_seconds"):
            if not 0 <= getattr(self, name) < math.inf:
                problems.append(f"{name} is {getattr(self, name)}; it must be 0 or more, in seconds")
        if problems:
            raise UserError(f"no such rule for events:\n{problem_list(problems)}")

    @property
    def margin(self) -> float:
        """How far `release` lies below `threshold` in log odds; the usual `MARGIN` where those are not defined."""
        if not (self.release > 0 and self.threshold < 1):
            return MARGIN
        return math.log(self.threshold / (1 - self.threshold)) - math.log(self.release / (1 - self.release))

    def moved_to(self, threshold: float) -> AlarmRule:
        """The same rule at another threshold, `release` as far below it as before."""
        return rule_with_margin(threshold, max(0.0, self.margin), self.min_seconds, self.merge_seconds)

    def as_json(self) -> dict[str, float]:
        """For files."""
        return dataclasses.asdict(self)


def rule_with_margin(threshold: float, margin: float, min_seconds: float, merge_seconds: float) -> AlarmRule:
    """A rule whose `release` is `margin` below the threshold in log odds, the scale that scores lie evenly on.

    A share of the score itself would mean nothing where sure detectors give 0.999 and 0.99999.
    """
    release = release_below(threshold, margin)
    return AlarmRule(threshold=threshold, release=release, min_seconds=min_seconds, merge_seconds=merge_seconds)


def release_below(threshold: float, margin: float) -> float:
    """`margin` below the threshold in log odds; the threshold itself where those are not defined."""
    if not 0 < threshold < 1:
        return threshold
    odds = threshold / (1 - threshold) * math.exp(-margin)
    return min(threshold, odds / (1 + odds))


@dataclass(frozen=True, kw_only=True)
class RuleChanges:
    """What is to be another than in the detector's own rule; None: nothing."""

    threshold: float | None = None
    """An event begins at a score of at least this. Default: the calibration's, else one from validation videos."""
    release: float | None = None
    """An event goes on while scores are at least this. Default: as far below the threshold, in log odds, as in the
    detector's own rule."""
    min_seconds: float | None = None
    """Shorter events are none. Default: the calibration's, else 0."""
    merge_seconds: float | None = None
    """Events at most so far apart are one. Default: the calibration's, else 1."""

    def __post_init__(self) -> None:
        for name in ("threshold", "release"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise UserError(f"{name} is {value}; scores of detectors lie in 0 to 1")

    def applied_to(self, own: AlarmRule) -> AlarmRule:
        """The rule that is wanted; UserError where there can be none such."""
        changes = {name: value for name, value in vars(self).items() if value is not None}
        if self.threshold is not None and self.release is None:
            changes["release"] = own.moved_to(self.threshold).release
        return dataclasses.replace(own, **changes)
