"""What is known of a run that watches a stream, and how it is said: first lines, status, summary, record."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from downstream.detection.live.figures import DELAY_BOUNDS, CameraFigures
from downstream.detection.live.frame_queue import Opened
from downstream.detection.live.meter import Meter
from downstream.detection.live.run_clock import RunClock
from downstream.detection.live.scorer import LiveScore, LiveScorer
from downstream.detection.live.source import FrameSource
from downstream.detection.live.wall_clock import iso
from downstream.detection.records import EventRecord, FailedVideo, LiveFigures, VideoRecord
from downstream.detection.video_events import STATED_AGREES
from downstream.events.alarm_level import AlarmLevel
from downstream.events.rule import AlarmRule
from downstream.visualisation.score_axis import plain_score
from pretrain.names import shown
from pretrain.tracking import clock

SETTLE_SECONDS = 10.0
"""A detector that compares with what the camera has shown raises no alarm before it has seen so much of it [ours]."""


class Ending(NamedTuple):
    """Why a run ended."""

    reason: str
    is_end: bool = False
    """Whether the video itself is over, so that its tail counts as in a file."""
    is_failure: bool = False


class LiveState:
    """Counters and figures; none of them grows with time."""

    def __init__(self, source: FrameSource, name: str, fps: float, snippet_frames: int) -> None:
        """`fps`: as at first; all seconds are by `clock`."""
        self.source, self.name, self.fps, self.snippet_frames = source, name, fps, snippet_frames
        self.clock = RunClock(fps)
        self.whole, self.recent = Meter(), Meter()
        """Figures of the run, and since the last status line."""
        self.frames = 0
        """Of the stream so far, with those that are missing."""
        self.missing = 0
        self.outages = 0
        self.events = 0
        self.highest: float | None = None
        self.score: LiveScore | None = None
        """The last one."""
        self.latest_frame = 0.0
        """Seconds from the arrival of a frame until it was worked on, of the latest one."""
        self.lost: tuple[float, str] | None = None
        """Since when (`time.monotonic()`) there is no connection, and why."""
        self.scored_at = time.monotonic()
        """When the last score became known; before the first, when the wait for it began."""
        self._began = time.time()

    @property
    def seconds(self) -> float:
        """Of the stream so far, with those of an outage that goes on."""
        return self.clock.now + self.away

    @property
    def away(self) -> float:
        """Seconds since the connection was lost, 0 where there is one."""
        return 0.0 if self.lost is None else time.monotonic() - self.lost[0]

    def scored(self, score: LiveScore) -> None:
        """A score became known just now."""
        self.score, self.scored_at = score, time.monotonic()
        self.highest = score.score if self.highest is None else max(self.highest, score.score)
        is_late = score.arrived is not None and self.source.is_paced
        delay = max(0.0, time.time() - (score.arrived or 0.0)) if is_late else None
        for meter in (self.whole, self.recent):
            meter.scored(self.clock.seen(score.start, score.end), delay)

    def taken(self, arrived: float) -> None:
        """A frame was worked on that arrived then: how late, whether or not it completed a snippet."""
        if self.source.is_paced:
            self.latest_frame = max(self.latest_frame, time.time() - arrived)

    def worked(self, seconds: float) -> None:
        """The run was busy for so long."""
        for meter in (self.whole, self.recent):
            meter.worked(seconds)

    def wall_clock(self, seconds: float) -> float:
        """When footage of lately arrived, in seconds since 1970; of a file that plays at no pace: now."""
        if self.score is None or self.score.arrived is None or not self.source.is_paced:
            return time.time()
        return self.score.arrived + seconds - self.clock.end(self.score.end)

    def begin_lines(self, opened: Opened, scorer: LiveScorer) -> list[str]:
        """The stream answers."""
        info, wait = opened.info, scorer.delay_frames / self.fps
        lines = [
            f"open: {info.width}x{info.height}, {self.fps:g} frames/s ({opened.fps_from}), {info.codec}; Ctrl-C stops",
            f"a score every {self.snippet_frames / self.fps:.2f} s"
            + (f", {wait:.2f} s after its last frame: it waits for what follows (lookahead)" if wait else ""),
        ]
        if scorer.compares:
            lines.append(
                f"no alarms in the first {SETTLE_SECONDS:g} s: this detector compares with what the camera has shown "
                "before"
            )
        return lines

    def status_line(self, is_event_on: bool, level: AlarmLevel | None = None) -> str:
        """How it goes, `level` being the last score's; empty before there is anything to say."""
        now = moment(self.clock.now)
        if self.lost is not None:
            return f"{now}  no connection for {self.away:.0f} s: {self.lost[1]}"
        if self.score is None:
            return ""
        parts = [
            now,
            score_in_words(self.score.score, level) + (f", event {self.events} goes on" if is_event_on else ""),
            self.recent.describe_delay(),
            self.recent.describe_speed(),
            f"{self.source.dropped} frames dropped",
            f"{self.source.reconnects} reconnects",
        ]
        return "  ".join(part for part in parts if part)

    def summary_lines(self, ending: Ending) -> list[str]:
        """What was found, and how well the stream was kept up with."""
        source, pace = self.source, [self.whole.describe_delay(), self.whole.describe_speed()]
        lines = [
            ending.reason,
            f"{self.events} event(s) in {clock(self.clock.footage)} of footage, {self.whole.snippets} snippets",
            "  ".join(text for text in pace if text),
            f"{source.dropped} frames dropped, {self.missing} missing in all; {self.outages} outage(s), "
            f"{source.reconnects} reconnect(s)" + (f"; {source.damaged} damaged" if source.damaged else ""),
        ]
        return [line for line in lines if line]

    def record(self, ending: Ending, events: Iterable[EventRecord]) -> VideoRecord | FailedVideo:
        """What came of the stream, with the events that have ended; failed where not a whole snippet came."""
        name, address, live = self.name, self.source.label, self._figures(ending)
        if self.highest is None:
            problem = f"{address}: not a whole snippet of {self.snippet_frames} frames came: {ending.reason}"
            return FailedVideo(name=name, path=address, problem=problem, live=live)
        mean = self.clock.frames / self.clock.footage
        return VideoRecord(
            name=name,
            path=address,
            fps=self.fps if abs(mean / self.fps - 1) < STATED_AGREES else mean,
            footage=self.clock.footage,
            num_frames=self.frames,
            num_snippets=self.whole.snippets,
            highest_score=self.highest,
            events=tuple(events),
            live=live,
        )

    def camera_figures(self, rule: AlarmRule, is_event_on: bool) -> CameraFigures:
        """How it goes at this moment, also from another thread."""
        source, whole, score, is_lost = self.source, self.whole, self.score, self.lost is not None
        is_raised = score is not None and score.score >= rule.release
        return CameraFigures(
            state="lost" if is_lost else "connected",
            level="lost" if is_lost else "alarm" if is_event_on else "raised" if is_raised else "quiet",
            score=None if score is None else score.score,
            threshold=rule.threshold,
            frames=self.clock.frames,
            frames_dropped=source.dropped,
            frames_missing=self.missing,
            frames_damaged=source.damaged,
            snippets=whole.snippets,
            events=self.events,
            outages=self.outages,
            reconnects=source.reconnects,
            footage_seconds=whole.footage_seconds,
            busy_seconds=whole.busy_seconds,
            delays=tuple(whole.delays.within(bound) for bound in DELAY_BOUNDS),
            delay_count=whole.delays.count,
            delay_total=whole.delays.total,
            latest_frame=self.latest_frame,
            scored_at=self.scored_at,
        )

    def _figures(self, ending: Ending) -> LiveFigures:
        delays = self.whole.delays
        return LiveFigures(
            began=iso(self._began),
            ended=iso(time.time()),
            ending=ending.reason,
            frames_dropped=self.source.dropped,
            frames_missing=self.missing,
            outages=self.outages,
            reconnects=self.source.reconnects,
            damaged=self.source.damaged,
            delay_seconds={"median": delays.quantile(0.5), "p95": delays.quantile(0.95)},
            times_real_time=self.whole.times_real_time,
        )


def describe_event(event: EventRecord) -> str:
    """One line, when it begins and when it ends."""
    begin, end, peak = (moment(seconds) for seconds in (event.start_seconds, event.end_seconds, event.peak_seconds))
    box = event.peak_box
    where = "" if box is None else ", box {:.0f},{:.0f} to {:.0f},{:.0f}".format(*box.box)
    if box is not None and event.zones:
        where += f" in {shown(', '.join(event.zones))}"
    score = f"{score_in_words(event.peak_score, event.level)}{where}"
    if event.kind == "begun":
        return f"event {event.number} began at {begin}: {score}"
    cut = " (cut short)" if event.is_cut_short else ""
    return f"event {event.number} over{cut}: {begin} to {end}, highest at {peak}: {score}"


def score_in_words(score: float, level: AlarmLevel | None) -> str:
    """The level, with the score behind it; the score alone where nobody knows what it means."""
    return f"score {plain_score(score)}" if level is None else f"{level.words} (score {plain_score(score)})"


def moment(seconds: float) -> str:
    """Seconds of a stream as h:mm:ss.s."""
    tenths = max(0, round(10 * seconds))
    return f"{tenths // 36000}:{tenths // 600 % 60:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"
