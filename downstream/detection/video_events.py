"""One scored video and what was found in it: its events by the rule, and the boxes in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from downstream.detection.model import ScoredFile
from downstream.detection.records import BoxRecord, EventRecord, VideoRecord, event_record
from downstream.events.alarm_level import AlarmLevel, LevelScale, scale_of
from downstream.events.boxes import ScoredBox, find_boxes
from downstream.events.finder import DetectedEvent, find_events
from downstream.events.rule import AlarmRule
from downstream.features.zones import Zones
from downstream.scores.cell_geometry import PixelBox
from downstream.scores.video_scores import VideoScores
from pretrain.data.video import FrameClock, VideoInfo

STATED_AGREES = 0.005
"""Frame rates that differ by less are one: as in `pretrain.data.video`."""


@dataclass(frozen=True, kw_only=True)
class VideoDetection:
    """One video and what was found in it."""

    name: str
    path: str
    scores: VideoScores
    info: VideoInfo
    clock: FrameClock
    """All seconds are by it."""
    events: tuple[DetectedEvent, ...]
    boxes: tuple[tuple[ScoredBox, ...], ...]
    """Of each snippet; only within events, empty of detectors of whole pictures."""
    levels: LevelScale
    """What its scores mean to people: by a calibration, or by themselves."""
    zones: Zones | None = None
    """Which parts of the picture counted; None: all of it."""

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Frames `[start, end)` of each event."""
        return [(event.start, event.end) for event in self.events]

    @property
    def seconds(self) -> float:
        """Of footage: what was seen, without gaps in the recording."""
        return self.clock.seen(0, self.info.num_frames)

    @property
    def fps(self) -> float:
        """Frames in a second of footage, on average; as stated where the frames' times agree with that."""
        mean = self.info.num_frames / self.seconds
        return self.info.fps if abs(mean / self.info.fps - 1) < STATED_AGREES else mean

    @property
    def highest_score(self) -> float:
        """Of all snippets."""
        return float(self.scores.scores.max())

    @property
    def highest_level(self) -> AlarmLevel:
        """Of the highest score."""
        return self.levels.level(self.highest_score)

    @property
    def highest_frame(self) -> int:
        """The first frame of the snippet that has it."""
        return int(self.scores.edges[self.scores.scores.argmax()])

    @cached_property
    def record(self) -> VideoRecord:
        """For output formats."""
        return VideoRecord(
            name=self.name,
            path=self.path,
            fps=self.fps,
            footage=self.seconds,
            clock=self.clock,
            num_frames=self.info.num_frames,
            num_snippets=len(self.scores.scores),
            highest_score=self.highest_score,
            level=self.highest_level,
            events=tuple(self._event_record(event) for event in self.events),
        )

    def _event_record(self, event: DetectedEvent) -> EventRecord:
        edges, num_frames = self.scores.edges, self.info.num_frames
        first, past = np.searchsorted(edges, (event.start, event.end)).tolist()
        boxes = [
            BoxRecord(start_frame=start, end_frame=end, box=self._in_pixels_of(start, box.box), score=box.score)
            for snippet in range(first, past)
            for box in self.boxes[snippet]
            for start, end in self.info.pieces(int(edges[snippet]), int(min(edges[snippet + 1], num_frames)))
        ]
        of_event = None if self.scores.map is None else tuple(boxes)
        told = event_record(event, self.clock, num_frames, of_event, levels=self.levels)
        return told.in_zones(self.zones, *self.info.size_at(event.peak_start))

    def _in_pixels_of(self, frame: int, box: PixelBox) -> PixelBox:
        """A box, found where all frames are read at the size of the first, in the pixels of that frame itself."""
        width, height = self.info.size_at(frame)
        across, down = width / self.info.width, height / self.info.height
        return PixelBox(box.x1 * across, box.y1 * down, box.x2 * across, box.y2 * down)


def find_video_events(
    scored: ScoredFile, rule: AlarmRule, levels: LevelScale | None = None, zones: Zones | None = None
) -> VideoDetection:
    """Events of a scored video by the rule, within its frames, and the boxes in them: round cells that alone would keep
    an event going. `levels`: of a calibration; None: the video is its own scale. `zones`: by which it was scored."""
    assert scored.scores is not None
    assert scored.info is not None
    scores, clock = scored.scores, scored.clock or FrameClock.steady(scored.info.fps)
    last = scored.info.num_frames  # the last snippet may reach beyond
    events = tuple(replace(event, end=min(event.end, last)) for event in find_events(scores, rule, clock))
    boxes: list[tuple[ScoredBox, ...]] = [()] * len(scores.scores)
    if scores.map is not None:
        of_snippets = find_boxes(scores.map, rule.release)
        for event in events:
            first, past = np.searchsorted(scores.edges, (event.start, event.end))
            boxes[first:past] = [tuple(of_snippet) for of_snippet in of_snippets[first:past]]
    return VideoDetection(
        name=scored.name,
        path=scored.path,
        scores=scores,
        info=scored.info,
        clock=clock,
        events=events,
        boxes=tuple(boxes),
        levels=scale_of(levels, scores.scores, rule.release),
        zones=zones,
    )
