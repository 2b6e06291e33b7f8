"""Frames of a camera, a stream or a file as they come: read ahead by a thread, reconnected, never lost in silence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import chain
from typing import Any

import numpy as np

from downstream.detection.live.address import parse_address
from downstream.detection.live.back_off import BackOff
from downstream.detection.live.clock import Arrived, Arriving, StreamClock, find_rate
from downstream.detection.live.connection import Connection, NotThere, StreamBroken, connect
from downstream.detection.live.frame_queue import Frame, FrameQueue, Gap, Item, Lost, Opened
from downstream.detection.live.settings import SourceSettings
from downstream.features.crops import Region
from pretrain.data.video import Picture, StoredPicture, VideoError, VideoInfo, check_picture

POLL_SECONDS = 0.2
FIRST_CALL_SECONDS = 5.0
"""One that has not answered yet is called at least so often: somebody is waiting."""


class FrameSource:
    """`with FrameSource(...) as source: for item in source: ...`; see `frame_queue` for the items.

    Entering waits until the input answers: one that is not there is called again by the same rule as one that broke
    off, for `max_outage`, or three times `timeout`. VideoError there where it does not answer, and from `get` where a
    file on a server breaks off or a camera stays away for longer than `max_outage`.
    """

    def __init__(
        self,
        text: str,
        region_of: Callable[[VideoInfo], Region],
        settings: SourceSettings,
        rng: np.random.Generator,
        *,
        stopped: Sequence[str] = (),
        say: Callable[[str], None] = lambda _: None,
        keep: Callable[[StoredPicture, Any, int, float], None] | None = None,
    ) -> None:
        """`text`: an address, see `parse_address`. `region_of`: which part of a picture is wanted, at what scale.

        `stopped`: as soon as something lies in it, nobody waits for an answer any more. `say` is told, once and by the
        reading thread, that an answer is waited for. `keep` is given every decoded frame by that thread, also
        those that are dropped: how it is stored, the frame, its number and seconds.
        """
        self.address = parse_address(text, settings.rtsp_transport)
        self.label = self.address.label
        self.settings = settings
        self.damaged = 0
        """Packets and frames that did not decode cleanly."""
        self.reconnects = 0
        self.is_waited_for = True
        """False: it was stopped before an answer came."""
        self._region_of, self._wanted_off, self._say, self._keep = region_of, stopped, say, keep
        self._patience = 3 * settings.timeout if settings.max_outage is None else settings.max_outage
        self._called: float | None = None
        self._queue = FrameQueue(settings.queue_frames, may_drop=True)
        self._stopped, self._answered = threading.Event(), threading.Event()
        self._back_off, self._first_calls = (BackOff(settings.first_delay, rng) for _ in range(2))
        self._thread = threading.Thread(target=self._run, name=f"reads {self.label}", daemon=True)
        self._number, self._fps, self._fps_from = 0, 0.0, ""
        self._seconds = 0.0
        self._heard, self._outage = 0.0, ""

    @property
    def dropped(self) -> int:
        """Frames left out so far because the consumer was too slow."""
        return self._queue.dropped

    @property
    def waiting(self) -> int:
        """Frames decoded and not taken yet: over fps, the seconds that the consumer is behind."""
        return self._queue.waiting

    @property
    def is_paced(self) -> bool:
        """Whether frames come at the pace of filming, and are dropped where they cannot be kept up with."""
        return self._queue.may_drop

    @property
    def is_over(self) -> bool:
        """Whether everything was taken and nothing follows."""
        return self._queue.is_over

    def get(self, timeout: float | None = None) -> Item | None:
        """The next item; None where none came in time, or nothing follows (`is_over`)."""
        return self._queue.get(timeout)

    def __iter__(self) -> Iterator[Item]:
        while (item := self.get()) is not None:
            yield item

    def __enter__(self) -> FrameSource:
        self._thread.start()
        # FFmpeg keeps the limit by itself; this one is for what it cannot interrupt, such as a name server
        limit = self._patience + 3 * self.settings.timeout + 2
        begun = time.monotonic()
        while not self._answered.wait(POLL_SECONDS):
            if self._wanted_off:
                self.is_waited_for = False
                self.close()
                return self
            if self.address.kind != "file" and time.monotonic() - begun > limit:
                self.close()
                raise VideoError(f"{self.label}: no frame within {limit:g} s; is it switched on, and address right?")
        if not self._fps:
            self.get()  # raises what went wrong
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading. A read that hangs is left to end by itself, within `timeout` seconds."""
        self._stopped.set()
        self._queue.close()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def _run(self) -> None:
        try:
            while not self._stopped.is_set() and self._connect_once():
                pass
            self._queue.end()
        except Exception as problem:  # every kind crosses to the consumer's thread
            self._queue.end(problem)
        finally:
            self._answered.set()

    def _connect_once(self) -> bool:
        """One connection to its end, and the wait after it; False where none follows. VideoError as in the class."""
        number, may_return, is_finite = self._number, bool(self._fps), False
        try:
            with connect(self.address, self.settings.timeout) as connection:
                is_finite, may_return = connection.is_finite, self._may_return(connection)
                self._deliver(connection)
            if not may_return:
                return False
            reason = "the stream ended"
        except StreamBroken as broken:
            reason = str(broken)
        except VideoError as problem:
            if not self._fps:
                return self._wait_at_first(problem)
            reason = str(problem).removeprefix(f"{self.label}: ")
        if not self._fps:
            text = f"{self.label}: no frame came: {reason}; does it play elsewhere?"
            return self._wait_at_first(VideoError(text) if is_finite else NotThere(text))
        if is_finite and not may_return:
            raise VideoError(f"{self.label}: broke off after {self._number} frames: {reason}; start again")
        if not may_return:  # many streams end without a word: nobody can tell that from breaking
            self._queue.put(Lost(reason, time.time()))
            return False
        if self._number > number:
            self._back_off.worked(self._heard - connection.begun)
        self._stay_out(reason)
        return True

    def _wait_at_first(self, problem: VideoError) -> bool:
        """Nobody has answered yet: wait until the next attempt. Raises the problem where that does not help."""
        if not isinstance(problem, NotThere):
            raise problem
        if self._called is None:
            self._called = time.monotonic()
            self._say(f"{problem}\nit is called again for {self._patience:g} s")
        left = self._patience - (time.monotonic() - self._called)
        if left <= 0:
            raise problem
        self._stopped.wait(min(self._first_calls.next(), FIRST_CALL_SECONDS, left))
        return True

    def _may_return(self, connection: Connection) -> bool:
        if self.settings.on_end == "auto":
            return not connection.is_finite
        return self.settings.on_end == "reconnect"

    def _stay_out(self, reason: str) -> None:
        """Wait until the next attempt. VideoError where that has gone on for too long."""
        if not self._outage:
            self._queue.put(Lost(reason, time.time()))
        self._outage = reason
        delay, limit = self._back_off.next(), self.settings.max_outage
        if limit is not None:
            left = limit - (time.monotonic() - self._heard)
            if left <= 0:
                raise VideoError(f"{self.label}: away for more than {limit:g} s (max_outage): {reason}")
            delay = min(delay, left)
        self._stopped.wait(delay)

    def _deliver(self, connection: Connection) -> None:
        """Put a connection's frames into the queue, and before them what is to be known of it. StreamBroken."""
        with closing(connection.frames(self._stopped)) as frames:
            coming = Arriving(frames)
            fps, fps_from, head = find_rate(connection, coming.head())
            if not head:
                raise StreamBroken("it ended before the first frame")
            stored = StoredPicture.of_frame(head[0].frame, connection.pixel_aspect)
            check_picture(self.label, *reversed(stored.displayed))  # before it counts as an input that works
            info = _info(connection, stored, self._fps or fps)
            region = self._region_of(info)
            if not self._fps:
                self._fps, self._fps_from = fps, fps_from
                self._queue.fps = fps
                self._queue.may_drop = self.settings.realtime or not connection.is_finite
            self._queue.put(Opened(info, self._fps_from, time.time()))
            self._answered.set()
            self._come_back(connection)
            self._put_frames(connection, chain(head, coming), stored, region)

    def _come_back(self, connection: Connection) -> None:
        if not self._outage:
            return
        # until the camera was called, not until its first frame was decoded: it had sent frames since
        away = connection.begun - self._heard
        self._miss("outage", f"no connection: {self._outage}", away)
        self._seconds += max(away, 1 / self._fps)
        self._outage = ""
        self.reconnects += 1

    def _put_frames(
        self, connection: Connection, frames: Iterator[Arrived], stored: StoredPicture, region: Region
    ) -> None:
        picture = Picture(stored, (region.decode_height, region.decode_width))
        y, x, height, width = region[2:]
        clock, damaged = StreamClock(connection, self._fps, self._seconds), self.damaged
        for frame, at in frames:
            if not connection.is_finite and (frame.width, frame.height) != (stored.width, stored.height):
                raise StreamBroken(f"its picture is {frame.width}x{frame.height} pixels now")
            leap = clock.take(frame, at)
            self._seconds = clock.seconds
            if leap:
                self._miss("jump", f"its time stamps leap by {leap:.1f} s", leap)
            if self.settings.realtime and connection.is_finite:
                clock.wait(self._stopped)
            self._heard = time.monotonic()
            if self._keep is not None:
                self._keep(stored, frame, self._number, clock.seconds)
            if self._queue.wants_frame():
                pixels = picture.rgb(frame)[y : y + height, x : x + width].copy()
                self._queue.put(Frame(self._number, clock.seconds, time.time(), pixels))
            self._number += 1
            self.damaged = damaged + connection.damaged

    def _miss(self, kind: Any, reason: str, seconds: float) -> None:
        """Mark a gap, and count on over the frames that would have come meanwhile."""
        missing = max(1, round(seconds * self._fps) - 1)
        self._queue.put(Gap(kind, reason, missing, max(0.0, seconds), time.time()))
        self._number += missing


def _info(connection: Connection, stored: StoredPicture, fps: float) -> VideoInfo:
    height, width = stored.displayed
    return VideoInfo(
        num_frames=0,
        fps=fps,
        width=width,
        height=height,
        duration_seconds=0.0,
        codec=connection.codec,
        rotation=90 * stored.quarter_turns,
        is_constant_rate=False,
    )
