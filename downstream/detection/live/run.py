"""One run over a stream: takes what the source gives, scores it, tells what is found, until it ends."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence

from downstream.detection.live.alarm_pictures import AlarmPictures, relative
from downstream.detection.live.alarms import Alarm, Alarms
from downstream.detection.live.console import RunConsole
from downstream.detection.live.figures import CameraFigures
from downstream.detection.live.frame_queue import Frame, Gap, Item, Lost, Opened
from downstream.detection.live.live_features import Encode
from downstream.detection.live.live_output import LiveOutput
from downstream.detection.live.meter import Meter
from downstream.detection.live.ordinary import Ordinary
from downstream.detection.live.outlet import AlarmFiles, AlarmOutlet, ToldAlarm
from downstream.detection.live.scorer import LiveScore, LiveScorer
from downstream.detection.live.settings import LiveSettings
from downstream.detection.live.source import FrameSource
from downstream.detection.live.state import (
    SETTLE_SECONDS,
    Ending,
    LiveState,
    describe_event,
    moment,
)
from downstream.detection.live.stream_levels import StreamLevels
from downstream.detection.live.wall_clock import iso
from downstream.detection.model import Model
from downstream.detection.records import VideoRecord
from downstream.detection.writers.events_jsonl import event_line
from downstream.events.rule import AlarmRule
from downstream.features.encoding import encode_snippets
from pretrain.data.video import VideoError

POLL_SECONDS = 0.2
GAP_LINE_SECONDS = 60.0
"""Frames that were dropped or damaged are said at most so often, all together: a slow machine drops for days."""


def window_snippets(model: Model, settings: LiveSettings, fps: float) -> int:
    """Snippets in the window of a stream of that frame rate."""
    return max(2, round(settings.window_seconds * fps / model.snippet_frames))


def scorer_for(
    model: Model,
    settings: LiveSettings,
    fps: float,
    *,
    remembers: bool = False,
    encode: Encode = encode_snippets,
) -> LiveScorer:
    """A scorer of a stream of that frame rate. UserError: more lookahead than does the detector any good."""
    window, settle = window_snippets(model, settings, fps), math.ceil(SETTLE_SECONDS * fps / model.snippet_frames)
    return LiveScorer(model, settings.lookahead, window, settle, remembers=remembers, encode=encode)


class LiveRun:
    """A stream that has answered, and everything that follows."""

    def __init__(
        self,
        scorer: LiveScorer,
        rule: AlarmRule,
        settings: LiveSettings,
        source: FrameSource,
        opened: Opened,
        console: RunConsole,
        output: LiveOutput,
        outlets: Sequence[AlarmOutlet],
        pictures: AlarmPictures | None = None,
        ordinary: Ordinary | None = None,
    ) -> None:
        """`pictures`, where they are kept, tell the outlets themselves, as soon as there is one to show. `ordinary`:
        where the scorer's memory is kept. VideoError: the zones leave nothing of the picture."""
        self.scorer, self.rule, self.settings, self.source = scorer, rule, settings, source
        self.console, self.output, self.outlets = console, output, outlets
        self.pictures, self.ordinary = pictures, ordinary
        self.state = LiveState(source, output.name, opened.info.fps, scorer.model.snippet_frames)
        self.alarms = Alarms(rule, self.state.clock)
        self.levels = StreamLevels(scorer.model.levels, rule.release)
        scorer.look(opened.info)
        self._size = opened.info.width, opened.info.height
        # on a terminal it is written in place, so that it may come more often
        self._status_seconds = min(1.0, settings.status_every) if console.is_terminal else settings.status_every
        self._status_due = time.monotonic() + self._status_seconds
        self._gaps = _GapLine()
        lines = self.state.begin_lines(opened, self.scorer)
        if ordinary is not None and (told := ordinary.begin(opened.info)):
            lines.append(told)
        console.say("\n".join(lines), opened.arrived)

    def until_the_end(self, stopped: list[str]) -> Ending:
        """Work until the stream is over, or something lies in `stopped`; leaves finished files."""
        while (ending := self._stop_reason(stopped)) is None:
            self._look_at_the_clock()
            try:
                item = self.source.get(POLL_SECONDS)
                if item is not None:
                    self.take(item)
                elif self.source.is_over:
                    ending = Ending("the stream ended", is_end=self.state.lost is None)
                    break
            except VideoError as error:
                ending = Ending(str(error), is_failure=True)
                break
        return self._finish(ending)

    def figures(self) -> CameraFigures:
        """How it goes at this moment; from any thread."""
        return self.state.camera_figures(self.rule, self.alarms.is_on)

    def take(self, item: Item) -> None:
        """The next item. VideoError: features that are not finite."""
        begun = time.monotonic()
        if isinstance(item, Frame):
            self.state.frames = item.number + 1
            self.state.clock.note(item.number, item.seconds)
            self._take_scores(self.scorer.push(item.number, item.pixels, item.arrived), begun)
            self.state.taken(item.arrived)
        elif isinstance(item, Opened):
            self.state.lost = None
            self.scorer.look(item.info)
            self._size = item.info.width, item.info.height
        else:
            # what came whole before it is not to wait until the camera is back
            self._take_scores(self.scorer.finish(is_end=False), begun)
            if isinstance(item, Lost):
                self._take_lost(item)
            else:
                self._take_gap(item)

    def _take_scores(self, scores: list[LiveScore], begun: float) -> None:
        """Scores that came of work since `begun` (`time.monotonic()`)."""
        for score in scores:
            self.state.scored(score)
            self.levels.add(score.score)
            self.output.add_score(score)
            if score.is_settled:
                self._tell(self.alarms.take(score))
                if self.pictures is not None:
                    self.pictures.scored(score, self.alarms.is_on)
            if self.ordinary is not None and (told := self.ordinary.take(score)):
                self.console.say(told, time.time())
            self.state.clock.forget(score.start, self.alarms.frames_in_use)
        self.state.worked(time.monotonic() - begun)

    def _take_lost(self, lost: Lost) -> None:
        self.state.lost = (time.monotonic(), lost.reason)
        self.state.outages += 1
        self.console.say(f"lost at {moment(self.state.clock.now)}: {lost.reason}", lost.arrived)

    def _take_gap(self, gap: Gap) -> None:
        if gap.seconds > self.rule.merge_seconds:
            self._tell(self.alarms.close())
        self.state.missing += gap.frames
        where = moment(self.state.clock.now)
        self.state.frames += gap.frames
        if gap.kind == "outage":
            self.console.say(f"back after {gap.seconds:.1f} s: about {gap.frames} frames were never seen", gap.arrived)
        else:
            self._gaps.add(gap, where)

    def _stop_reason(self, stopped: list[str]) -> Ending | None:
        if stopped:
            return Ending("stopped by Ctrl-C" if stopped[0] == "SIGINT" else f"stopped by {stopped[0]}")
        if self.console.is_broken:
            return Ending("stopped: nobody reads its output any more")
        limit = self.settings.stop_after
        if limit is not None and self.state.seconds >= limit:
            return Ending(f"stopped after {limit:g} s (stop_after)")
        return None

    def _look_at_the_clock(self) -> None:
        """What is due, whether frames come or not: an event's end in an outage, lines."""
        now = time.monotonic()
        if self.state.away > self.rule.merge_seconds:
            self._tell(self.alarms.close())
        if text := self._gaps.due(now):
            self.console.say(text, time.time())
        if self.ordinary is not None:
            self.ordinary.save_if_due(now)
        if self._status_seconds and now >= self._status_due:
            self._status_due = now + self._status_seconds
            score = self.state.score
            level = None if score is None else self.levels.level(score.score)
            if line := self.state.status_line(self.alarms.is_on, level):
                self.console.status(line)
            self.state.recent = Meter()

    def _tell(self, alarms: list[Alarm]) -> None:
        """The journal comes first: what is printed or posted can be found there."""
        for alarm in alarms:
            self.state.events = alarm.event.number
            event = alarm.record(self.state.clock, self.state.frames)
            when = self.state.wall_clock(event.start_seconds if event.kind == "begun" else event.end_seconds)
            files = AlarmFiles() if self.pictures is None else self.pictures.files(event, when)
            event = dataclasses.replace(
                event.in_zones(self.scorer.model.zones, *self._size),
                level=self.levels.level(event.peak_score),
                wall_clock=iso(when),
                stream=self.source.label,
                snapshot=relative(files.snapshot, self.output.folder),
                clip=relative(files.clip, self.output.folder),
            )
            self.output.add_event(event)
            self.console.say(describe_event(event), when)
            self.console.record(event_line(event))
            self._tell_outlets(ToldAlarm(camera=self.output.name, event=event, files=files))

    def _tell_outlets(self, told: ToldAlarm) -> None:
        if self.pictures is not None:
            self.pictures.tell(told)
            return
        for outlet in self.outlets:
            outlet.alarm(told)

    def _finish(self, ending: Ending) -> Ending:
        """Score what waited, close what goes on, finish the files; returns why it ended, after all."""
        begun = time.monotonic()
        try:
            self._take_scores(self.scorer.finish(ending.is_end), begun)
        except VideoError as error:
            ending = ending if ending.is_failure else Ending(str(error), is_failure=True)
        if self.ordinary is not None:
            self.ordinary.save()
        self._tell(self.alarms.close(is_cut_short=not ending.is_end))
        if text := self._gaps.due(math.inf):
            self.console.say(text, time.time())
        record = self.state.record(ending, self.output.ended_events())
        if isinstance(record, VideoRecord):
            record = dataclasses.replace(record, level=self.levels.level(record.highest_score))
        self.output.finish(record)
        return ending


class _GapLine:
    """Says what was left out at once, and then at most once a minute, all together."""

    def __init__(self) -> None:
        self._count, self._frames, self._last, self._next = 0, 0, "", 0.0

    def add(self, gap: Gap, where: str) -> None:
        self._count += 1
        self._frames += gap.frames
        self._last = f"at {where}: {gap.reason}"

    def due(self, now: float) -> str:
        """The line to say at `now` (`time.monotonic()`); empty: none."""
        if not self._count or now < self._next:
            return ""
        text = f"{self._count} gaps, {self._frames} frames missing; the last {self._last}"
        text = self._last if self._count == 1 else text
        self._count, self._frames, self._next = 0, 0, now + GAP_LINE_SECONDS
        return text
