"""How a live input is read, and how long to wait before it is called again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pretrain.errors import UserError, problem_list

MAX_DELAY_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """How a live input is read."""

    timeout: float = 10.0
    """Seconds that it may take to answer, and that a frame may take to come."""
    on_end: Literal["auto", "stop", "reconnect"] = "auto"
    """When the stream ends. auto: a file, here or of known length on a server, is over then; a camera, a device and a
    stream of unknown length have broken off and are connected again. stop: also where a stream breaks off."""
    max_outage: float | None = None
    """Give up when it stays away for so many seconds; None: never."""
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


class BackOff:
    """Seconds between attempts: doubled each time, up to a minute, a fifth more or less by chance.

    By chance, so that twenty cameras behind one switch are not all called at the same moment when it is back.
    """

    def __init__(self, first: float, rng: np.random.Generator) -> None:
        self._first, self._delay, self._rng = first, min(first, MAX_DELAY_SECONDS), rng

    def next(self) -> float:
        """How long to wait now."""
        delay = self._delay
        self._delay = min(2 * delay, MAX_DELAY_SECONDS)
        return float(delay * self._rng.uniform(0.8, 1.2))

    def worked(self, seconds: float) -> None:
        """A connection held so long. The next wait is the first one again, unless it broke sooner than the last."""
        if 2 * seconds >= self._delay:
            self._delay = min(self._first, MAX_DELAY_SECONDS)
