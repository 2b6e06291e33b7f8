"""From scores to events, snippet by snippet: the same rule for a file that is over and for a camera that never ends.

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
from typing import Any, Literal, NamedTuple

from downstream.scores.score_file import VideoScores
from pretrain.errors import UserError, problem_list


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
        """How far `release` lies below `threshold` in log odds; 0 where those are not defined."""
        if not (self.release > 0 and self.threshold < 1):
            return 0.0
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
    release = threshold
    if 0 < threshold < 1:
        odds = threshold / (1 - threshold) * math.exp(-margin)
        release = min(threshold, odds / (1 + odds))
    return AlarmRule(threshold=threshold, release=release, min_seconds=min_seconds, merge_seconds=merge_seconds)


@dataclass(frozen=True, slots=True)
class DetectedEvent:
    """Frames `[start, end)` of a video, or of a camera since it was switched on."""

    number: int
    """From 1, in the order in which they begin."""
    start: int
    end: int
    peak_score: float
    peak_start: int
    """The snippet with the highest score, the first of equals, is frames `[peak_start, peak_end)`."""
    peak_end: int

    def seconds(self, fps: float) -> dict[str, float]:
        """Begin, end and the middle of the peak, in seconds."""
        return {
            "start_seconds": round(self.start / fps, 3),
            "end_seconds": round(self.end / fps, 3),
            "peak_seconds": round((self.peak_start + self.peak_end) / 2 / fps, 3),
        }

    def as_json(self, fps: float) -> dict[str, Any]:
        """For files."""
        frames = {"number": self.number, "start_frame": self.start, "end_frame": self.end}
        return frames | self.seconds(fps) | {"peak_score": self.peak_score}


class Change(NamedTuple):
    """Something that became known of an event."""

    kind: Literal["begun", "ended"]
    event: DetectedEvent
    """As far as it is known: of one that has just begun, the end so far."""


class EventFinder:
    """Takes snippets in order; says when an event has begun (it lasts long enough) and when it has ended."""

    def __init__(self, rule: AlarmRule, fps: float) -> None:
        self.rule = rule
        self._min_frames, self._merge_frames = rule.min_seconds * fps, rule.merge_seconds * fps
        self._open: DetectedEvent | None = None
        self._is_over, self._is_told, self._count = False, False, 0

    @property
    def is_open(self) -> bool:
        """Whether an event is going on that was said to have begun."""
        return self._open is not None and self._is_told

    def push(self, start: int, end: int, score: float) -> list[Change]:
        """The snippet of frames `[start, end)`; what it changes."""
        changes: list[Change] = []
        event = self._open
        if event is not None and start - event.end > self._merge_frames:
            changes += self.close()
            event = None
        goes_on = event is not None and not self._is_over and score >= self.rule.release
        if not goes_on and score < self.rule.threshold:
            self._is_over = True
            return changes
        if event is None:
            event = DetectedEvent(self._count + 1, start, end, score, start, end)
        elif score > event.peak_score:
            event = dataclasses.replace(event, end=end, peak_score=score, peak_start=start, peak_end=end)
        else:
            event = dataclasses.replace(event, end=end)
        self._open, self._is_over = event, False
        if not self._is_told and event.end - event.start >= self._min_frames:
            self._is_told, self._count = True, event.number
            changes.append(Change("begun", event))
        return changes

    def close(self) -> list[Change]:
        """No snippet follows the last one directly: the end of a video, a gap in a camera's."""
        changes = [Change("ended", self._open)] if self._open is not None and self._is_told else []
        self._open, self._is_over, self._is_told = None, False, False
        return changes


def find_events(scores: VideoScores, rule: AlarmRule, fps: float) -> list[DetectedEvent]:
    """All events of a video, in order."""
    finder = EventFinder(rule, fps)
    changes: list[Change] = []
    edges = scores.edges.tolist()
    for start, end, score in zip(edges[:-1], edges[1:], scores.scores.tolist(), strict=True):
        changes += finder.push(start, end, score)
    return [change.event for change in [*changes, *finder.close()] if change.kind == "ended"]
