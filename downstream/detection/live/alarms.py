"""Alarms of a stream: events as they begin and end, where in the picture, and how they are told to programs."""

from __future__ import annotations

from collections import deque
from typing import Literal, NamedTuple

from downstream.detection.live.scorer import LiveScore
from downstream.detection.records import BoxRecord, EventRecord, event_record
from downstream.events.boxes import find_boxes
from downstream.events.finder import Change, DetectedEvent, EventFinder
from downstream.events.rule import SLACK_SECONDS, AlarmRule
from downstream.scores.cell_geometry import PixelBox
from pretrain.data.video import Clock, clock_of


class Alarm(NamedTuple):
    """Something that became known of an event."""

    kind: Literal["begun", "ended"]
    event: DetectedEvent
    box: PixelBox | None
    """The highest of its highest snippet so far; None of detectors of whole pictures."""
    is_cut_short: bool
    """Ended because nothing more was seen: how long it went on, nobody knows."""

    def record(self, clock: Clock | float, num_frames: int) -> EventRecord:
        """For output formats, when so many frames were seen; seconds are by the run's clock, or its frame rate."""
        event, boxes = self.event, None
        if self.box is not None:
            end = min(event.peak_end, num_frames)
            boxes = (BoxRecord(start_frame=event.peak_start, end_frame=end, box=self.box, score=event.peak_score),)
        return event_record(event, clock, num_frames, boxes, kind=self.kind, is_cut_short=self.is_cut_short)


class Alarms:
    """Takes scores in order, gives what they change: by `EventFinder`, with the box of each event's peak."""

    def __init__(self, rule: AlarmRule, clock: Clock | float) -> None:
        """`clock`: the run's, or its frame rate."""
        self.rule = rule
        self.begun = 0
        """Events so far."""
        self._clock = clock_of(clock)
        self._finder = EventFinder(rule, self._clock)
        self._kept_seconds = rule.min_seconds + rule.merge_seconds
        self._recent: deque[tuple[int, float, PixelBox | None]] = deque()
        self._peak = 0.0
        self._box: PixelBox | None = None

    @property
    def frames_in_use(self) -> set[int]:
        """Frames of the event so far that its seconds are counted from: the run's clock must not forget them."""
        event = self._finder.so_far
        if event is None:
            return set()
        return {
            edge for frame in (event.start, event.end, event.peak_start, event.peak_end) for edge in (frame - 1, frame)
        }

    @property
    def is_on(self) -> bool:
        """Whether an event is going on."""
        return self._finder.is_open

    def take(self, score: LiveScore) -> list[Alarm]:
        """The next snippet's score."""
        box = self._box_of(score)
        begun = self._clock.begin(score.start)
        self._recent.append((score.start, begun, box))
        # an event is told of as soon as it lasts long enough: its peak until then is not further back
        while self._recent[0][1] < begun - self._kept_seconds - SLACK_SECONDS:
            self._recent.popleft()
        alarms = [self._told(change) for change in self._finder.push(score.start, score.end, score.score)]
        if self.is_on and score.score > self._peak:  # so high, it is part of the event
            self._peak, self._box = score.score, box
        return alarms

    def close(self, is_cut_short: bool = False) -> list[Alarm]:
        """No snippet follows the last one for long: what goes on has ended."""
        self._recent.clear()
        return [self._told(change, is_cut_short) for change in self._finder.close()]

    def _told(self, change: Change, is_cut_short: bool = False) -> Alarm:
        event = change.event
        if change.kind == "begun":
            self.begun = event.number
            self._peak = event.peak_score
            self._box = next((box for start, _, box in self._recent if start == event.peak_start), None)
        return Alarm(change.kind, event, self._box, is_cut_short)

    def _box_of(self, score: LiveScore) -> PixelBox | None:
        if score.map is None or score.score < self.rule.release:
            return None
        return find_boxes(score.map, self.rule.release)[0][0].box
