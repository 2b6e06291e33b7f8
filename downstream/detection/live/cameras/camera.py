"""The life of one camera among others: called until it answers, watched, its files finished; in a thread of its own.

Nothing that happens to it touches the others. What never answers is called again, at least every minute, until
everything ends.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from downstream.detection.live.back_off import BackOff
from downstream.detection.live.cameras.models import CameraModel
from downstream.detection.live.cameras.settings import Camera
from downstream.detection.live.console import RunConsole
from downstream.detection.live.figures import CameraFigures
from downstream.detection.live.frame_queue import Opened
from downstream.detection.live.live_features import Encode
from downstream.detection.live.live_output import LiveOutput
from downstream.detection.live.open_outlets import Outlets, open_pictures, open_ring, seconds_kept
from downstream.detection.live.ordinary import ORDINARY_FILE, Ordinary
from downstream.detection.live.run import LiveRun, scorer_for, window_snippets
from downstream.detection.live.scorer import region_for
from downstream.detection.live.source import FrameSource
from pretrain.addresses import print_redacted
from pretrain.cli import disk_problem
from pretrain.data.video import VideoError
from pretrain.errors import UserError
from pretrain.names import file_name

POLL_SECONDS = 0.2
MOST_SAID = 100
"""Different problems that are said of one camera: a server's answers may differ each time."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What all cameras of a process have in common."""

    out: Path
    encode: Encode
    outlets: Outlets
    stopped: list[str]
    """As soon as something lies in it, all end."""


class CameraLife:
    """One camera."""

    def __init__(
        self, camera: Camera, model: CameraModel, shared: Shared, console: RunConsole, rng: np.random.Generator
    ) -> None:
        self.camera, self.folder = camera, shared.out / file_name(camera.name)
        self.run: LiveRun | None = None
        """None until it has answered."""
        self.ending = ""
        """Why it is over; empty: it is not."""
        self.has_failed = False
        """Whether it never answered, or ended by something else than its end or ours."""
        self.problem = ""
        """Why it has not answered yet."""
        self._model, self._shared, self._console, self._rng = model, shared, console, rng
        self._calls = BackOff(camera.keys.first_delay, rng)
        self._said: set[str] = set()
        self._told_dropped = 0
        self._thread = threading.Thread(target=self._live, name=f"watches {camera.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Wait at most so many seconds; whether it is over."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def is_alive(self) -> bool:
        """Whether it is not over."""
        return self._thread.is_alive()

    def figures(self) -> CameraFigures:
        """How it is doing; from any thread."""
        return CameraFigures() if self.run is None else self.run.figures()

    def describe(self) -> str:
        """How it is doing, in a few words."""
        if self.ending:
            return "failed" if self.has_failed else "ended"
        if self.run is None:
            return "not there" if self.problem else "opening"
        state = self.run.state
        if state.lost is not None:
            return f"lost for {state.away:.0f} s"
        words = "no score yet" if state.score is None else f"{state.score.score:.4f}"
        if self.run.alarms.is_on:
            words = f"EVENT {state.events} {words}"
        dropped = self.run.source.dropped
        if dropped > self._told_dropped:
            words += f", {dropped - self._told_dropped} frames dropped"
        self._told_dropped = dropped
        return words

    def _live(self) -> None:
        torch.set_num_threads(1)  # the network's thread has them all
        try:
            while not self._shared.stopped and not self.ending:
                self._try()
        except UserError as error:
            self._end(str(error), has_failed=True)
        except Exception as error:
            print_redacted(error)
            self._end(f"an error of the program ({type(error).__name__}); it is not watched any more", has_failed=True)
        if self.run is None and not self.ending:
            self._end(f"stopped before it answered; {self.problem or 'it was still being opened'}", bool(self.problem))

    def _end(self, reason: str, has_failed: bool) -> None:
        self.ending, self.has_failed = reason, has_failed
        self._console.say(reason, time.time())

    def _try(self) -> None:
        """Watch it, if it answers; else wait before the next attempt."""
        try:
            with ExitStack() as stack:
                self._watch(stack)
            return
        except VideoError as error:
            self._note(str(error))
        except OSError as error:
            told = disk_problem(error)
            if told is None:
                raise
            self.has_failed = True
            self._note(told)
        self._wait(self._calls.next())

    def _note(self, problem: str) -> None:
        """Why it cannot be watched now: said once, however often it is tried."""
        self.problem = problem
        if problem not in self._said and len(self._said) < MOST_SAID:
            self._said.add(problem)
            self._console.say(f"{problem}\nit is called again, at least once a minute", time.time())

    def _watch(self, stack: ExitStack) -> None:
        camera, model, rule = self.camera, self._model.model, self._model.rule
        ring = open_ring(camera.live.pictures)
        source = FrameSource(
            *(camera.text, region_for(model), camera.live.source, self._rng),
            stopped=self._shared.stopped,
            say=lambda told: self._note(told.split("\n")[0]),
            keep=None if ring is None else ring.take,
        )
        stack.enter_context(source)
        if not source.is_waited_for:
            return
        opened = source.get()
        assert isinstance(opened, Opened)
        scorer = scorer_for(model, camera.live, opened.info.fps, remembers=True, encode=self._shared.encode)
        try:
            scorer.look(opened.info)
        except VideoError as error:
            raise UserError(str(error)) from error
        window = window_snippets(model, camera.live, opened.info.fps)
        ordinary = Ordinary(self.folder / ORDINARY_FILE, scorer, rule, window, camera.ordinary)
        output = stack.enter_context(LiveOutput(self.folder, camera.name, model.facts(rule)))
        outlets = self._shared.outlets
        pictures = open_pictures(ring, camera.name, self.folder, camera.live, outlets, self._console.say, stack)
        if ring is not None:
            ring.seconds = seconds_kept(camera.live, rule, scorer, opened.info.fps)
        self.run = LiveRun(
            *(scorer, rule, camera.live, source, opened, self._console, output, outlets.alarms),
            pictures=pictures,
            ordinary=ordinary,
        )
        self.problem = ""
        ending = self.run.until_the_end(self._shared.stopped)
        self.ending, self.has_failed = ending.reason, self.has_failed or ending.is_failure
        self._console.say(
            "\n".join([*self.run.state.summary_lines(ending), f"written to {output.folder}"]), time.time()
        )

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._shared.stopped and time.monotonic() < end:
            time.sleep(min(POLL_SECONDS, max(0.0, end - time.monotonic())))
