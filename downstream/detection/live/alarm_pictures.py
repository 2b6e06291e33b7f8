"""A snapshot and a short clip of each event, and the outlets told when its snapshot is there.

    frames   |...........[pre-roll]^ begins    told v[post-roll].......|
    clip                 [--------------------------------]              written when its last frame has come
    snapshot                        ^ highest so far                     written at once, again when it was higher

Two threads of its own: one writes snapshots and tells the outlets, so that an alarm waits for a picture of some
milliseconds; the other waits for the post-roll and encodes. The run waits for neither.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from downstream.detection.live.alarm_shelf import AlarmShelf
from downstream.detection.live.clip import write_clip
from downstream.detection.live.outlet import AlarmFiles, AlarmOutlet, ToldAlarm
from downstream.detection.live.picture_ring import QUALITY, KeptFrame, PictureRing
from downstream.detection.live.scorer import LiveScore
from downstream.detection.live.settings import PictureSettings
from downstream.detection.records import EventRecord
from downstream.events.boxes import ScoredBox
from downstream.scores.cell_geometry import PixelBox
from downstream.visualisation.pictures import draw_frame
from downstream.visualisation.score_axis import plain_score
from pretrain.files import replacing

MAX_CLIPS, MAX_SNAPSHOTS = 4, 100
"""That may wait at a time."""
PATIENCE_SECONDS = 5.0
"""How much longer than the post-roll a clip waits for its last frame: the camera may be gone."""


class _Clip(NamedTuple):
    path: Path
    begin: float
    end: float


class AlarmPictures:
    """Of one camera: told by its run, tells the outlets."""

    def __init__(
        self,
        camera: str,
        ring: PictureRing,
        shelf: AlarmShelf,
        settings: PictureSettings,
        outlets: Sequence[AlarmOutlet],
        say: Callable[[str], None],
    ) -> None:
        self.camera, self.ring, self.shelf, self.settings = camera, ring, shelf, settings
        self.snapshots = self.clips = self.failed = 0
        self._outlets, self._say = outlets, say
        self._files: dict[int, AlarmFiles] = {}
        self._peak: tuple[float, KeptFrame | None] = (0.0, None)
        self._told: deque[tuple[ToldAlarm, KeptFrame | None]] = deque()
        self._clips: deque[_Clip] = deque()
        self._busy = 0
        self._changed, self._closing = threading.Condition(), threading.Event()
        self._last_problem, self._is_tidy_said = "", False
        for name, work in (("snapshots", self._work_on_snapshots), ("clips", self._work_on_clips)):
            threading.Thread(target=work, name=f"{name} of {camera}", daemon=True).start()

    def describe(self) -> str:
        """What will be kept, for how long, in how much memory."""
        settings = self.settings
        return (
            f"each event leaves a snapshot and a clip in {self.shelf.folder}, from {settings.pre_seconds:g} s before "
            f"it begins to {settings.post_seconds:g} s after that is known; kept for {settings.keep_days:g} days, at "
            f"most {settings.keep_gb:g} GB; the last seconds take at most {settings.memory_mb:g} MB of memory"
        )

    def summary(self) -> str:
        """Counts, for the end of a run."""
        short = "; memory was full, clips begin late (pictures.memory_mb)" if self.ring.is_short else ""
        lost = f", {self.failed} picture(s) could not be written" if self.failed else ""
        return f"{self.snapshots} snapshot(s), {self.clips} clip(s) in {self.shelf.folder}{lost}{short}"

    def files(self, event: EventRecord, when: float) -> AlarmFiles:
        """Where this event's pictures will be. `when`: the moment that is told of, in seconds since 1970."""
        if event.kind == "ended":
            return self._files.pop(event.number, AlarmFiles())
        files = self.shelf.files(self.camera, event.number, when)
        if event.peak_box is None:  # nothing is drawn
            files = dataclasses.replace(files, clean=None)
        with self._changed:
            if len(self._clips) >= MAX_CLIPS:
                files = dataclasses.replace(files, clip=None)
                self.failed += 1
        self._files[event.number] = files
        return files

    def tell(self, told: ToldAlarm) -> None:
        """Write what belongs to it, then tell the outlets; returns at once."""
        event = told.event
        frame = self._peak[1]
        if event.kind == "begun":
            frame = self.ring.nearest((event.peak_start_frame + event.peak_end_frame) // 2)
            self._peak = event.peak_score, frame
            self._ask_for_clip(told)
        with self._changed:
            has_room = len(self._told) < MAX_SNAPSHOTS
            if has_room:
                self._told.append((told, frame))
            self._changed.notify_all()
        if not has_room:
            self._pass_on(told, AlarmFiles())

    def scored(self, score: LiveScore, is_event_on: bool) -> None:
        """A score of which the alarms know already: the frame of an event's highest moment is kept, however long."""
        if is_event_on and score.score > self._peak[0]:
            self._peak = score.score, self.ring.nearest((score.start + score.end) // 2)

    def close(self, timeout: float = 20.0) -> None:
        """Write what waits, with the frames that have come, for so many seconds at most."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: not (self._told or self._clips or self._busy), timeout)
            left = [told for told, _ in self._told]
            self.failed += len(self._clips) + len(left)
            self._told.clear()
            self._clips.clear()
        for told in left:
            self._pass_on(told, AlarmFiles())
        self._tidy()  # a snapshot may have come after the last clip

    def _ask_for_clip(self, told: ToldAlarm) -> None:
        first, newest = self.ring.nearest(told.event.start_frame), self.ring.newest
        if told.files.clip is None or first is None or newest is None:
            return
        begin = first.seconds - self.settings.pre_seconds
        with self._changed:
            self._clips.append(_Clip(told.files.clip, begin, newest + self.settings.post_seconds))
            self._hold()
            self._changed.notify_all()

    def _hold(self) -> None:
        self.ring.hold_from(min((clip.begin for clip in self._clips), default=None))

    def _work_on_snapshots(self) -> None:
        # the first picture that is drawn takes half a second: letters are loaded; no alarm shall wait for that
        draw_frame(
            np.zeros((32, 32, 3), np.uint8), None, None, [ScoredBox(0, PixelBox(4, 16, 28, 28), 0.5)], [], (32, 32)
        )
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._told or self._closing.is_set())
                if not self._told:
                    return
                (told, frame), self._busy = self._told.popleft(), self._busy + 1
            files = AlarmFiles(clip=told.files.clip)
            if frame is not None and told.files.snapshot is not None and self._try(lambda: _write(told, frame)):  # noqa: B023
                self.snapshots += told.event.kind == "begun"
                files = told.files
            self._pass_on(told, files)
            self._done()

    def _work_on_clips(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._clips or self._closing.is_set())
                if not self._clips:
                    return
                clip, self._busy = self._clips[0], self._busy + 1
            frames = self._wait_for(clip)
            with self._changed:  # only now: until then its frames are held
                if clip in self._clips:
                    self._clips.remove(clip)
                self._hold()
            if frames and self._try(lambda: write_clip(clip.path, frames)):  # noqa: B023
                self.clips += 1
            self._tidy()
            self._done()

    def _wait_for(self, clip: _Clip) -> list[KeptFrame]:
        left = self.settings.post_seconds + PATIENCE_SECONDS
        while left > 0 and not self._closing.is_set() and not self.ring.wait_until(clip.end, min(left, 0.2)):
            left -= 0.2
        return self.ring.between(clip.begin, clip.end)

    def _tidy(self) -> None:
        if self.shelf.tidy() and not self._is_tidy_said:
            self._is_tidy_said = True
            self._say(
                f"{self.shelf.folder} is full: the oldest pictures are removed (pictures.keep_days "
                f"{self.settings.keep_days:g}, keep_gb {self.settings.keep_gb:g})"
            )

    def _try(self, write: Callable[[], None]) -> bool:
        """Whether it was written. Whatever goes wrong with a picture must neither end the run nor silence the alarm."""
        try:
            write()
        except Exception as error:
            self.failed += 1
            problem = getattr(error, "strerror", None) or str(error) or type(error).__name__
            if problem != self._last_problem:
                self._last_problem = problem
                self._say(f"a picture of {self.camera} could not be written to {self.shelf.folder}: {problem}")
            return False
        self._last_problem = ""
        return True

    def _pass_on(self, told: ToldAlarm, files: AlarmFiles) -> None:
        for outlet in self._outlets:
            outlet.alarm(dataclasses.replace(told, files=files))

    def _done(self) -> None:
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()


def relative(path: Path | None, folder: Path) -> str | None:
    """A picture as the files in `folder` name it."""
    return None if path is None else Path(os.path.relpath(path, folder)).as_posix()


def _write(told: ToldAlarm, frame: KeptFrame) -> None:
    """The snapshot, and the clean one if there is one."""
    files, box = told.files, told.event.peak_box
    assert files.snapshot is not None
    if files.clean is None or box is None:
        _write_bytes(files.snapshot, frame.jpeg)
        return
    _write_bytes(files.clean, frame.jpeg)
    level = told.event.level

    def label(score: float) -> str:
        return plain_score(score) if level is None else f"level {level.value}"  # as in films

    drawn = draw_frame(frame.pixels(), None, None, [ScoredBox(0, box.box, box.score)], [], frame.size, label=label)
    with replacing(files.snapshot) as temporary:
        drawn.save(temporary, "JPEG", quality=QUALITY)


def _write_bytes(path: Path, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)
