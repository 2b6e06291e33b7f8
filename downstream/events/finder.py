"""From scores to events, snippet by snippet: the same for a file that is over and for a camera that never ends."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from downstream.events.rule import SLACK_SECONDS, AlarmRule
from pretrain.data.video import Clock, clock_of


class ScoredSnippets(Protocol):
    """Scores (S,) and edges (S + 1,) of one video: snippet i stands for frames `[edges[i], edges[i + 1])`."""

    @property
    def scores(self) -> NDArray[np.float64]: ...
    @property
    def edges(self) -> NDArray[np.int64]: ...


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

    def seconds(self, clock: Clock | float) -> dict[str, float]:
        """Begin, end and the middle of the peak, in seconds by the video's clock (or at its frame rate)."""
        clock = clock_of(clock)
        return {
            "start_seconds": round(clock.begin(self.start), 3),
            "end_seconds": round(clock.end(self.end), 3),
            "peak_seconds": round((clock.begin(self.peak_start) + clock.end(self.peak_end)) / 2, 3),
        }

    def as_json(self, clock: Clock | float) -> dict[str, Any]:
        """For files."""
        frames = {"number": self.number, "start_frame": self.start, "end_frame": self.end}
        return frames | self.seconds(clock) | {"peak_score": self.peak_score}


class Change(NamedTuple):
    """Something that became known of an event."""

    kind: Literal["begun", "ended"]
    event: DetectedEvent
    """As far as it is known: of one that has just begun, the end so far."""


class EventFinder:
    """Takes snippets in order; says when an event has begun (it lasts long enough) and when it has ended.

    An event lasts as long as there is footage of it, and ends at a gap in the recording that is longer than those that
    are merged.
    """

    def __init__(self, rule: AlarmRule, clock: Clock | float) -> None:
        """`clock`: the video's, or its frame rate."""
        self.rule = rule
        self._clock = clock_of(clock)
        self._least, self._gap = rule.min_seconds - SLACK_SECONDS, rule.merge_seconds + SLACK_SECONDS
        self._open: DetectedEvent | None = None
        self._is_over, self._is_told, self._count = False, False, 0

    @property
    def so_far(self) -> DetectedEvent | None:
        """The event that goes on, said or not."""
        return self._open

    @property
    def is_open(self) -> bool:
        """Whether an event is going on that was said to have begun."""
        return self._open is not None and self._is_told

    def push(self, start: int, end: int, score: float) -> list[Change]:
        """The snippet of frames `[start, end)`; what it changes."""
        changes: list[Change] = []
        event = self._open
        if event is not None and self._clock.begin(start) - self._clock.end(event.end) > self._gap:
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
        if not self._is_told and self._clock.seen(event.start, event.end) >= self._least:
            self._is_told, self._count = True, event.number
            changes.append(Change("begun", event))
        return changes

    def close(self) -> list[Change]:
        """No snippet follows the last one directly: the end of a video, a gap in a camera's."""
        changes = [Change("ended", self._open)] if self._open is not None and self._is_told else []
        self._open, self._is_over, self._is_told = None, False, False
        return changes


def find_events(video: ScoredSnippets, rule: AlarmRule, fps: Clock | float) -> list[DetectedEvent]:
    """All events of a video, in order; `fps`: its clock, or its frame rate where nothing else is known."""
    finder = EventFinder(rule, fps)
    changes: list[Change] = []
    edges = video.edges.tolist()
    for start, end, score in zip(edges[:-1], edges[1:], video.scores.tolist(), strict=True):
        changes += finder.push(start, end, score)
    return [change.event for change in [*changes, *finder.close()] if change.kind == "ended"]
