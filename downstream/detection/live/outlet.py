"""Where alarms leave to: a web address, a broker. A run tells each outlet; none may ever make it wait."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from downstream.detection.records import EventRecord


@dataclass(frozen=True, kw_only=True)
class AlarmFiles:
    """Pictures of an event. None: not kept, or they could not be."""

    snapshot: Path | None = None
    """JPEG of its highest moment so far, with the box if the detector has cells. Written when an outlet is told."""
    clean: Path | None = None
    """The same frame without anything drawn on it."""
    clip: Path | None = None
    """MP4. It is there when it is whole: some seconds after the event began, for it shows what follows too."""

    def picture(self) -> bytes | None:
        """The snapshot's JPEG; None where there is none, or not any more."""
        try:
            return None if self.snapshot is None else self.snapshot.read_bytes()
        except OSError:
            return None


@dataclass(frozen=True, kw_only=True)
class ToldAlarm:
    """An event that has begun or ended, as outlets are told."""

    camera: str
    """Name of the input, as in tables: one process may watch several."""
    event: EventRecord
    """`kind` says which; `stream` is the camera's address without passwords."""
    files: AlarmFiles = field(default_factory=AlarmFiles)


class AlarmOutlet(Protocol):
    """Takes alarms of any number of cameras, from any thread. Never raises for what cannot be delivered: it counts."""

    @property
    def label(self) -> str:
        """What and where, for people: an address without secrets."""
        ...

    def alarm(self, told: ToldAlarm) -> None:
        """Send it from a thread of its own; returns at once."""
        ...

    def summary(self) -> str:
        """Counts, for the end of a run: `3 delivered, 0 not`."""
        ...

    def close(self) -> None:
        """Wait a bounded time for what is on its way; the rest counts as not delivered. Twice is as once."""
        ...
