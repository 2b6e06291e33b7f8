"""How a live input is read and watched: everything of scripts/detect.py that only such an input has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from pretrain.errors import UserError, problem_list


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """How a live input is read."""

    timeout: float = 10.0
    """Seconds that it may take to answer, and that a frame may take to come."""
    on_end: Literal["auto", "stop", "reconnect"] = "auto"
    """When the stream ends. auto: a file, here or of known length on a server, is over then; a camera, a device and a
    stream of unknown length have broken off and are connected again. stop: also where a stream breaks off."""
    max_outage: float | None = None
    """Give up when it stays away for so many seconds; None: never, but for one that has not answered yet, which is
    called for three times `timeout`."""
    realtime: bool = False
    """Play files at their own pace, like a camera: frames are dropped where they cannot be kept up with."""
    queue_frames: int = 128
    """Frames that may wait; when they do, a camera's are dropped (see `FrameQueue`), a file waits."""
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    """udp: less delay, and pictures smeared where packets are lost."""
    first_delay: float = 1.0
    """Seconds before the first attempt to connect again; twice as long before each further one, up to 60."""

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {getattr(self, name)}; it must be more than 0, in seconds"
            for name in ("timeout", "first_delay")
            if not getattr(self, name) > 0
        ]
        if self.max_outage is not None and not self.max_outage > 0:
            problems.append(f"max_outage is {self.max_outage}; it must be more than 0 seconds, or left out")
        if self.queue_frames < 2:
            problems.append(f"queue_frames is {self.queue_frames}; it must be at least 2")
        if problems:
            raise UserError(f"a live input cannot be read like this:\n{problem_list(problems)}")


@dataclass(frozen=True, kw_only=True)
class LiveSettings:
    """For a stream or a device, and for files that are played like one."""

    play: bool = False
    """Take a file as a stream: what live detection would have said of it."""
    source: Annotated[SourceSettings, tyro.conf.arg(name="")] = field(default_factory=SourceSettings)
    lookahead: int | None = None
    """Snippets that a score waits for. Default: as many as the detector looks ahead, so that scores are those of a
    file; 0: none, the soonest alarm."""
    window_seconds: float = 600.0
    """What a detector that sees the whole video (a transformer, features normalised by video or place) sees of a
    stream: so many seconds before now."""
    webhook: str | None = field(default=None, repr=False)
    """URL to POST a JSON object to when an event begins, and when it ends."""
    status_every: float = 10.0
    """Seconds between lines about delay, speed and dropped frames; 0: none."""
    stop_after: float | None = None
    """Leave after so many seconds of the stream. Default: run until Ctrl-C or SIGTERM."""

    def __post_init__(self) -> None:
        problems = []
        if self.lookahead is not None and self.lookahead < 0:
            problems.append(f"lookahead is {self.lookahead}; it must be 0 or more snippets")
        if not self.window_seconds > 0:
            problems.append(f"window_seconds is {self.window_seconds}; it must be more than 0")
        if self.stop_after is not None and not self.stop_after > 0:
            problems.append(f"stop_after is {self.stop_after}; it must be more than 0 seconds, or left out")
        if self.status_every < 0:
            problems.append(f"status_every is {self.status_every}; it must be 0 or more seconds")
        if problems:
            raise UserError(f"a stream cannot be watched like this:\n{problem_list(problems)}")
