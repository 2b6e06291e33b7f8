"""A camera, a stream or a file played like one, watched until it ends: scores and alarms as they come, files at any time.

What scripts/detect.py does with an input that is not read to its end. Exit status: 0, however it was stopped (or what
`status_on_event` says, where anything was found); 1 where the input was lost for good; 2 where it never answered.
"""

from __future__ import annotations

import math
import os
import time
from contextlib import ExitStack
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from downstream.detection.detect import DetectConfig, rule_in_words
from downstream.detection.events import AlarmRule
from downstream.detection.inputs import find_videos, is_stream
from downstream.detection.live.alarms import Alarm, Alarms
from downstream.detection.live.console import Console, stop_signals
from downstream.detection.live.frame_queue import Frame, Gap, Lost, Opened
from downstream.detection.live.journal import JOURNAL, LiveFiles
from downstream.detection.live.meter import Meter
from downstream.detection.live.scorer import LiveScore, LiveScorer, region_for
from downstream.detection.live.source import FrameSource
from downstream.detection.live.webhook import Webhook
from downstream.detection.model import Model
from downstream.detection.open_model import open_model
from downstream.detection.outputs import EVENTS, SCORES, document
from pretrain.accelerator import check_device, make_accelerator
from pretrain.cpu import keep_freed_memory
from pretrain.data.video import VideoError
from pretrain.errors import UserError
from pretrain.tracking import clock

SETTLE_SECONDS = 10.0
"""A detector that compares with what the camera has shown raises no alarm before it has seen so much of it [ours]."""
POLL_SECONDS = 0.2
GAP_LINE_SECONDS = 60.0
"""Dropped and damaged frames are said at most so often, all together."""


class Ending(NamedTuple):
    """Why a run ended."""

    reason: str
    is_end: bool = False
    """Whether the video itself is over, so that its tail counts as in a file."""
    is_failure: bool = False


def watch(config: DetectConfig) -> int:
    """Watch the one input until it ends, is lost for good, or somebody stops it; returns the exit status.

    Writes the files of `journal`. UserError: it never answered, a model that cannot take a stream, a wrong webhook.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("a stream is watched by one process: start it with python, not with accelerate launch")
    keep_freed_memory()
    check_device(config.scoring.device)
    console = Console(config.json)
    model = open_model(config.detector, config.backbone, make_accelerator(config.scoring.device, "fp32").device)
    rule = config.rule.applied_to(model.rule)
    text = config.inputs[0]
    source = FrameSource(text, region_for(model), config.live.source, np.random.default_rng())
    name = source.label if is_stream(text) else find_videos([text])[0][0]
    console.say(f"{model.in_words()}\n{rule_in_words(rule, model)}\ncalling {source.label}")
    with ExitStack() as stack:
        hook = None if config.live.webhook is None else Webhook(config.live.webhook, console.say)
        if hook is not None:
            stack.callback(hook.close)
        opened = _open(stack, source)
        stopped = stack.enter_context(stop_signals())
        files = stack.enter_context(LiveFiles(config.out, name))
        run = LiveRun(config, model, rule, source, opened, console, files, hook)
        ending = run.until_the_end(stopped)
        stack.pop_all().close()
    run.say_summary(ending)
    if ending.is_failure and not (run.alarms.begun and config.status_on_event):
        return 1
    return config.status_on_event if run.alarms.begun else 0


def _open(stack: ExitStack, source: FrameSource) -> Opened:
    """What the input looks like, as soon as it answers. UserError where it does not."""
    try:
        stack.enter_context(source)
        opened = source.get()
    except VideoError as error:
        raise UserError(str(error)) from error
    assert isinstance(opened, Opened)
    return opened


class LiveRun:
    """One run: takes what the source gives, scores it, tells what is found."""

    def __init__(
        self,
        config: DetectConfig,
        model: Model,
        rule: AlarmRule,
        source: FrameSource,
        opened: Opened,
        console: Console,
        files: LiveFiles,
        hook: Webhook | None,
    ) -> None:
        self.config, self.model, self.rule, self.source = config, model, rule, source
        self.console, self.files, self.hook = console, files, hook
        self.fps = opened.info.fps
        self.alarms = Alarms(rule, self.fps)
        snippet_seconds = model.snippet_frames / self.fps
        self.scorer = LiveScorer(
            model,
            config.live.lookahead,
            max(2, round(config.live.window_seconds / snippet_seconds)),
            math.ceil(SETTLE_SECONDS / snippet_seconds),
        )
        self.scorer.look(opened.info)
        self.whole, self.recent = Meter(), Meter()
        """Figures of the run, and since the last status line."""
        self.frames, self.missing, self.outages = 0, 0, 0
        """Frames of the stream so far, with those that are missing; the missing ones; lost connections."""
        self.highest: float | None = None
        self._began = datetime.now().astimezone()
        self._score: LiveScore | None = None
        self._lost: tuple[float, str] | None = None
        self._status_due = time.monotonic()
        self._gaps, self._gap_frames, self._gap_reason, self._gaps_due = 0, 0, "", 0.0
        self._say_begin(opened)

    def until_the_end(self, stopped: list[str]) -> Ending:
        """Work until the stream is over or a name lies in `stopped`; leaves finished files."""
        ending = None
        while ending is None:
            try:
                item = self.source.get(POLL_SECONDS)
                if item is not None:
                    self.take(item)
                elif self.source.is_over:
                    ending = Ending("the stream ended", is_end=self._lost is None)
                ending = ending or self._stop_reason(stopped)
            except VideoError as error:
                ending = Ending(str(error), is_failure=True)
            self._look_at_the_clock()
        self._finish(ending)
        return ending

    def take(self, item: Opened | Frame | Lost | Gap) -> None:
        """The next item. VideoError: features that are not finite."""
        if isinstance(item, Frame):
            self.frames = item.number + 1
            begun = time.monotonic()
            scores = self.scorer.push(item.number, item.pixels, item.arrived)
            if scores:
                self._lost = None
            self._work_off(scores, begun)
        elif isinstance(item, Opened):
            self._lost = None
            self.scorer.look(item.info)
        else:
            begun = time.monotonic()
            self._work_off(self.scorer.finish(is_end=False), begun)
            if isinstance(item, Lost):
                self._take_lost(item)
            else:
                self._take_gap(item)

    def _work_off(self, scores: list[LiveScore], begun: float) -> None:
        """Scores that came of work since `begun` (`time.monotonic()`)."""
        now = time.time()
        for score in scores:
            self._score = score
            self.highest = score.score if self.highest is None else max(self.highest, score.score)
            delay = None if score.arrived is None or not self.source.is_paced else max(0.0, now - score.arrived)
            for meter in (self.whole, self.recent):
                meter.scored(self.model.snippet_frames / self.fps, delay)
            self.files.add_score(score)
            if score.is_settled:
                self._tell(self.alarms.take(score))
        for meter in (self.whole, self.recent):
            meter.worked(time.monotonic() - begun)

    def _take_lost(self, lost: Lost) -> None:
        self._lost = (time.monotonic(), lost.reason)
        self.outages += 1
        self.console.say(f"{_time(lost.arrived)}  lost at {moment(self.frames / self.fps)}: {lost.reason}")

    def _take_gap(self, gap: Gap) -> None:
        if gap.seconds > self.rule.merge_seconds:
            self._tell(self.alarms.close())
        self.frames += gap.frames
        self.missing += gap.frames
        if gap.kind == "outage":
            self.console.say(
                f"{_time(gap.arrived)}  back after {gap.seconds:.1f} s: about {gap.frames} frame(s) were never seen"
            )
            return
        self._gaps, self._gap_frames, self._gap_reason = self._gaps + 1, self._gap_frames + gap.frames, gap.reason
        self._say_gaps()

    def _say_gaps(self, is_last: bool = False) -> None:
        """At once, but a minute after the last time at the soonest."""
        if not self._gaps or (time.monotonic() < self._gaps_due and not is_last):
            return
        many = f"{self._gaps} gaps, {self._gap_frames} frames missing; the last: " if self._gaps > 1 else ""
        self.console.say(f"{_time(time.time())}  at {moment(self.frames / self.fps)}: {many}{self._gap_reason}")
        self._gaps, self._gap_frames = 0, 0
        self._gaps_due = time.monotonic() + GAP_LINE_SECONDS

    def _stop_reason(self, stopped: list[str]) -> Ending | None:
        if stopped:
            return Ending({"SIGINT": "stopped by Ctrl-C"}.get(stopped[0], f"stopped by {stopped[0]}"))
        if self.console.is_broken:
            return Ending("stopped: nobody reads its output any more")
        limit = self.config.live.stop_after
        if limit is not None and self._seconds() >= limit:
            return Ending(f"stopped after {limit:g} s (stop_after)")
        return None

    def _seconds(self) -> float:
        """Of the stream so far, with those of an outage that goes on."""
        away = 0.0 if self._lost is None else time.monotonic() - self._lost[0]
        return self.frames / self.fps + away

    def _look_at_the_clock(self) -> None:
        """What is due without a frame: an event's end in an outage, lines."""
        now, every = time.monotonic(), self.config.live.status_every
        if self._lost is not None and now - self._lost[0] > self.rule.merge_seconds:
            self._tell(self.alarms.close())
        self._say_gaps()
        if every and now >= self._status_due:
            self._status_due = now + (min(1.0, every) if self.console.is_terminal else every)
            if self._score is not None or self._lost is not None:
                self.console.status(self.status_line())
            self.recent = Meter()

    def _tell(self, alarms: list[Alarm]) -> None:
        """Journal first: what is printed or posted can be found there."""
        for alarm in alarms:
            record = alarm.as_json(self.fps, self.frames)
            frame = record["start_frame" if alarm.kind == "begun" else "end_frame"]
            record |= {"wall_clock": _iso(self._wall_clock(frame)), "stream": self.source.label}
            self.files.add_event(record)
            self.console.say(f"{_time(self._wall_clock(frame))}  {_in_words(alarm, record)}")
            self.console.record(record)
            if self.hook is not None:
                self.hook.post(record)

    def _wall_clock(self, frame: int) -> float:
        """When a frame of lately arrived; of a file that plays at no pace: now."""
        score = self._score
        if score is None or score.arrived is None or not self.source.is_paced:
            return time.time()
        return score.arrived + (frame - score.end) / self.fps

    def _finish(self, ending: Ending) -> None:
        begun = time.monotonic()
        if not ending.is_failure:
            self._work_off(self.scorer.finish(ending.is_end), begun)
        self._tell(self.alarms.close(is_cut_short=not ending.is_end))
        self._say_gaps(is_last=True)
        self.files.finish(self.content(ending))

    def content(self, ending: Ending) -> dict[str, Any]:
        """Of events.json."""
        content = document(self.model, self.rule, [], [])
        name, path = self.files.name, self.source.label
        live = {
            "began": self._began.isoformat(timespec="milliseconds"),
            "ended": _iso(time.time()),
            "ending": ending.reason,
            "frames_missing": self.missing,
            "frames_dropped": self.source.dropped,
            "outages": self.outages,
            "reconnects": self.source.reconnects,
            "damaged": self.source.damaged,
            "delay_seconds": {"median": self.whole.delays.quantile(0.5), "p95": self.whole.delays.quantile(0.95)},
            "times_real_time": self.whole.times_real_time,
        }
        if self.highest is None:
            problem = f"{path}: not a whole snippet of {self.model.snippet_frames} frames came: {ending.reason}"
            return content | {"failed": [{"name": name, "path": path, "problem": problem, "live": live}]}
        video = {
            "name": name,
            "path": path,
            "fps": self.fps,
            "frames": self.frames,
            "seconds": round(self.frames / self.fps, 3),
            "snippets": self.whole.snippets,
            "highest_score": self.highest,
            "events": [_as_in_files(record) for record in self.files.ended()],
            "live": live,
        }
        return content | {"videos": [video]}

    def _say_begin(self, opened: Opened) -> None:
        info = opened.info
        wait = self.scorer.delay_frames / self.fps
        lines = [
            f"{_time(opened.arrived)}  it answers: {info.width}x{info.height}, {self.fps:g} frames/s "
            f"({opened.fps_from}), {info.codec}; Ctrl-C stops",
            f"a score every {self.model.snippet_frames / self.fps:.2f} s"
            + (f", {wait:.2f} s after its last frame: the detector looks ahead (--live.lookahead)" if wait else ""),
        ]
        if self.files.folder != self.config.out:
            lines.append(f"{self.config.out} holds another run's files; this one writes to {self.files.folder}")
        if self.scorer.compares:
            lines.append(
                f"no alarms in the first {SETTLE_SECONDS:g} s: this detector compares with what the camera has shown "
                "before"
            )
        self.console.say("\n".join(lines))

    def status_line(self) -> str:
        """How it goes."""
        if self._lost is not None:
            away = time.monotonic() - self._lost[0]
            return f"{moment(self.frames / self.fps)}  no connection for {away:.0f} s: {self._lost[1]}"
        assert self._score is not None
        parts = [
            moment(self.frames / self.fps),
            f"score {self._score.score:.6f}" + (f", event {self.alarms.begun} goes on" if self.alarms.is_on else ""),
            self.recent.delay_in_words(),
            self.recent.speed_in_words(),
            f"{self.source.dropped} frames dropped",
            f"{self.source.reconnects} reconnects",
        ]
        return "  ".join(part for part in parts if part)

    def say_summary(self, ending: Ending) -> None:
        """What was found, how well the stream was kept up with, where it lies."""
        whole, source = self.whole, self.source
        pace = [text for text in (whole.delay_in_words(), whole.speed_in_words()) if text]
        lines = [
            f"{_time(time.time())}  {ending.reason}",
            f"{self.alarms.begun} event(s) in {clock(self.frames / self.fps)} of footage, {whole.snippets} snippets",
            *(["  ".join(pace)] if pace else []),
            f"{source.dropped} frames dropped, {self.missing} missing in all  {self.outages} outage(s), "
            f"{source.reconnects} reconnect(s)" + (f"  {source.damaged} damaged" if source.damaged else ""),
        ]
        if self.hook is not None:
            lines.append(f"webhook {self.hook.label}: {self.hook.sent} delivered, {self.hook.failed} not")
        lines.append(f"written      {EVENTS}, {JOURNAL}, {SCORES} in {self.files.folder}")
        self.console.say("\n".join(lines))


def moment(seconds: float) -> str:
    """Seconds of a stream as h:mm:ss.s."""
    tenths = max(0, round(10 * seconds))
    return f"{tenths // 36000}:{tenths // 600 % 60:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"


def _in_words(alarm: Alarm, record: dict[str, Any]) -> str:
    begin, end, peak = (moment(record[f"{key}_seconds"]) for key in ("start", "end", "peak"))
    where = "" if alarm.box is None else ", box {:.0f},{:.0f} to {:.0f},{:.0f}".format(*alarm.box)
    score = f"score {alarm.event.peak_score:.6f}{where}"
    if alarm.kind == "begun":
        return f"event {alarm.event.number} began at {begin}: {score}"
    cut = " (cut short)" if alarm.is_cut_short else ""
    return f"event {alarm.event.number} over{cut}: {begin} to {end}, highest at {peak}: {score}"


def _as_in_files(record: dict[str, Any]) -> dict[str, Any]:
    """A record of the journal as an event of events.json."""
    peak = {"start_frame": record.pop("peak_start_frame"), "end_frame": record.pop("peak_end_frame")}
    boxes = {"boxes": [peak | {"box": record.pop("box"), "score": record["peak_score"]}]} if "box" in record else {}
    return {key: value for key, value in record.items() if key not in ("kind", "stream")} | boxes


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%H:%M:%S")


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")
