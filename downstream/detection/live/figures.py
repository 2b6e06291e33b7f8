"""How a camera is doing at one moment, for whoever watches over the watching: metrics, a broker, a health check."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

DELAY_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0)
"""Seconds at which delays are counted."""
Level = Literal["quiet", "raised", "alarm", "lost"]
LEVELS: tuple[Level, ...] = ("quiet", "raised", "alarm", "lost")


@dataclass(frozen=True, kw_only=True)
class CameraFigures:
    """Counts go up only. All seconds are of real time, but for `footage_seconds`."""

    state: Literal["opening", "connected", "lost"] = "opening"
    """opening: it has not answered yet. lost: it had, and is being called again."""
    level: Level = "quiet"
    """quiet: below the release; raised: at or above it; alarm: an event goes on; lost: nobody looks."""
    score: float | None = None
    """The last one; None before the first."""
    threshold: float | None = None
    """At which an event begins."""
    frames: int = 0
    """Taken for scoring."""
    frames_dropped: int = 0
    frames_missing: int = 0
    """Never scored, for whatever reason, dropped ones among them."""
    frames_damaged: int = 0
    snippets: int = 0
    events: int = 0
    outages: int = 0
    reconnects: int = 0
    footage_seconds: float = 0.0
    busy_seconds: float = 0.0
    """Spent on scoring: over footage_seconds, the share of a core that the camera takes."""
    delays: tuple[int, ...] = (0,) * len(DELAY_BOUNDS)
    """How many scores came within each of `DELAY_BOUNDS` after their last frame."""
    delay_count: int = 0
    delay_total: float = 0.0
    latest_frame: float = 0.0
    """Seconds from the arrival of a frame until it was worked on, of the latest one so far."""
    scored_at: float | None = None
    """`time.monotonic()` of the last score, or of when the wait for the first began."""

    @property
    def silent_seconds(self) -> float:
        """Since the last score."""
        return 0.0 if self.scored_at is None else max(0.0, time.monotonic() - self.scored_at)

    def problem(self, silent_limit: float) -> str:
        """What is wrong with it; empty: nothing."""
        if self.state == "opening":
            return "has not answered yet"
        if self.state == "lost":
            return "no connection"
        if self.silent_seconds > silent_limit:
            return f"nothing scored for {self.silent_seconds:.0f} s"
        return ""


class CameraMonitor(Protocol):
    """Looks at cameras from a thread of its own, as often as it likes."""

    def watch(self, camera: str, figures: Callable[[], CameraFigures]) -> None:
        """From now on `figures()` is how this camera is doing. Called again for the same one, it takes the place."""
        ...


class CameraBoard:
    """The cameras of one process by name, in the order in which they came. Thread-safe: the dictionary is replaced."""

    def __init__(self) -> None:
        self._cameras: dict[str, Callable[[], CameraFigures]] = {}

    def watch(self, camera: str, figures: Callable[[], CameraFigures]) -> None:
        """See `CameraMonitor`."""
        self._cameras = self._cameras | {camera: figures}

    def look(self) -> dict[str, CameraFigures]:
        """How each is doing now."""
        return {camera: figures() for camera, figures in self._cameras.items()}
