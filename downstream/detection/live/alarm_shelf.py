"""The folder of alarms' pictures: names that sort by time, and a ring that keeps the newest.

    alarms/20261127T021509.120_front-door_0003.jpg         the highest moment, boxed
    alarms/20261127T021509.120_front-door_0003-clean.jpg   the same without a box
    alarms/20261127T021509.120_front-door_0003.mp4         before, during and after its begin

Only files with such names are ever removed.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from downstream.detection.live.outlet import AlarmFiles

FOLDER = "alarms"
DAY = 24 * 3600.0
_NAME = re.compile(r"\d{8}T\d{6}\.\d{3}_[\w.-]{1,80}_\d{4,}(-clean)?\.(jpg|mp4)", re.ASCII)
_MOST_LETTERS = 60


def safe_name(camera: str) -> str:
    """A camera's name as part of a file name and of a topic: letters, digits, dot, dash and underscore of ASCII.

    Where that changes it, six digits of a hash tell it from others that look alike then.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", camera).strip("-.")[:_MOST_LETTERS]
    if plain == camera:
        return plain
    digest = hashlib.sha256(camera.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{plain}-{digest}" if plain else digest


class AlarmShelf:
    """A folder of pictures, for any number of cameras; runs may share it."""

    def __init__(self, folder: Path, keep_days: float, keep_gb: float) -> None:
        self.folder, self.keep_days, self.keep_gb = folder, keep_days, keep_gb

    def files(self, camera: str, number: int, when: float) -> AlarmFiles:
        """Where the pictures of an event go. `when`: it began, in seconds since 1970."""
        stamp = datetime.fromtimestamp(when).strftime("%Y%m%dT%H%M%S.%f")[:-3]
        base = f"{stamp}_{safe_name(camera)}_{number:04d}"
        path = self.folder / base
        return AlarmFiles(
            snapshot=path.with_name(f"{base}.jpg"),
            clean=path.with_name(f"{base}-clean.jpg"),
            clip=path.with_name(f"{base}.mp4"),
        )

    def tidy(self, now: float | None = None) -> int:
        """Remove what is too old, then the oldest until the rest fits; returns how many files that were."""
        now = time.time() if now is None else now
        kept, room, removed = sorted(self._look(), reverse=True), self.keep_gb * 1e9, 0
        for changed, size, path in kept:
            room -= size
            if room < 0 or changed < now - self.keep_days * DAY:
                with suppress(OSError):  # gone meanwhile: another run tidies the same folder
                    path.unlink()
                    removed += 1
        return removed

    def _look(self) -> Iterator[tuple[float, int, Path]]:
        """When each was written, its bytes, its path."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                if _NAME.fullmatch(path.name):
                    with suppress(OSError):
                        facts = path.lstat()
                        yield facts.st_mtime, facts.st_size, path
