"""What a walk through a folder passes over, counted and told: nothing is left out without a word."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

logger = logging.getLogger(__name__)

SYSTEM_FOLDERS = frozenset((
    "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp", "@sharebin", ".@__thumb",
    "lost+found", ".thumbnails", ".snapshot", "~snapshot", ".trash", ".trashes", ".spotlight-v100", ".fseventsd",
    ".appledouble", "system volume information", "$recycle.bin", "recycler", "__macosx", "network trash folder",
    "temporary items",
))  # fmt: skip
"""What storage boxes and systems keep beside people's files, in small letters: thumbnails, waste, indices."""
CLUTTER = frozenset(("thumbs.db", "desktop.ini", ".ds_store"))
"""Files of the same kind; they are not worth a word."""
SHOWN = 8


def is_system_folder(name: str) -> bool:
    """Whether a folder of that name is no place of people's files."""
    return name.lower() in SYSTEM_FOLDERS or name.lower().startswith(".trash-")


def ending(name: str) -> str:
    """`.mp4` of `a.MP4`; nothing of names without a dot, and of `.hidden`."""
    return os.path.splitext(name)[1].lower()


class LeftAlone:
    """Files and folders that a walk through one folder did not take."""

    def __init__(self) -> None:
        self._files: Counter[str] = Counter()
        self._example: dict[str, str] = {}
        self._folders: Counter[str] = Counter()
        self._series: list[str] = []
        self._frames: list[str] = []

    def add_file(self, name: str) -> None:
        """One that is of no kind that is looked for, or hidden."""
        if name.lower() in CLUTTER:
            return
        kind = f"hidden {ending(name)}".rstrip() if name.startswith(".") else ending(name) or "without ending"
        self._files[kind] += 1
        self._example[kind] = min(name, self._example.get(kind, name))

    def add_folder(self, name: str) -> None:
        """One that is not looked into."""
        self._folders[name] += 1

    def add_series(self, folder: str, images: Sequence[str]) -> None:
        """A folder whose images count as one video; it is told where their names look like those of several."""
        starts = series_of(images)
        if len(starts) > 1:
            shown = ", ".join(f"{start}..." for start in starts[:3])
            self._series.append(
                f"{folder} is taken as one video of {len(images)} images, but they are named like those of "
                f"{len(starts)} videos ({shown}): if so, put the images of each into a folder of its own"
            )

    def add_frames(self, folder: str) -> None:
        """A folder of images where these are not read as a video."""
        self._frames.append(folder)

    def lines(self, of: str = "") -> list[str]:
        """What to tell, nothing where all was taken; `of`: what is said of the files, as ` that are not .npy`."""
        told = []
        if count := self._files.total():
            kinds = [f"{number} {kind} ({self._example[kind]})" for kind, number in _ranked(self._files)[:SHOWN]]
            more = len(self._files) - len(kinds)
            told.append(
                f"{count} file(s){of} left alone: {', '.join(kinds)}{f', and {more} kinds more' if more else ''}"
            )
        if self._folders:
            ranked = _ranked(self._folders)[:SHOWN]
            names = [f"{name} ({number})" if number > 1 else name for name, number in ranked]
            told.append(f"{self._folders.total()} folder(s) skipped: {', '.join(names)}")
        if self._frames:
            told.append(
                f"{len(self._frames)} folder(s) of images left alone ({self._frames[0]}): as videos they are read from "
                "a disk alone; copy them to one, or make proxies there (scripts/build_cache.py) and pack these"
            )
        return told + self._series[:SHOWN]

    def say(self, where: str) -> None:
        """A warning a line, each once in a process."""
        for line in self.lines():
            _warn(f"{where}: {line}")


def _ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    """The most first, equals by name: the order of a disk's entries is nobody's."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def series_of(images: Iterable[str]) -> list[str]:
    """How the names begin, before their last number, of at least two images each: `a_` of `a_1.png`, `a_2.png`."""
    starts = Counter(os.path.splitext(name)[0].rstrip("0123456789") for name in images)
    return [start for start, count in starts.items() if count > 1]


@lru_cache(maxsize=1024)  # catalogues are opened more than once in a run
def _warn(text: str) -> None:
    logger.warning("%s", text)
