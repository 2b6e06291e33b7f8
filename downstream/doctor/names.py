"""Names that differ though they mean one video: peers' tools add or drop `_x264`, `__0`, `_i3d`, `.mp4` and more."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

_CODEC = re.compile(r"(?:_x264|\.(?:mp4|avi|mkv|npy))+$")
_ADDED = re.compile(r"(?:_x264|_i3d|_c3d|_clip|_rgb|_flow|__\d+|\.\w{2,4})+$")


def bare_name(name: str) -> str:
    """The name less what says nothing of the video (`_x264`, a file suffix); two of one bare name are one video.

    `Normal_Videos_003` and `Normal_Videos003` stay apart: they are two videos of UCF-Crime.
    """
    return _CODEC.sub("", unicodedata.normalize("NFC", name).casefold())


class Suggestions:
    """Finds among some names the one that differs from a given one only by what was added at the end."""

    def __init__(self, names: Iterable[str]) -> None:
        self._by_stem: dict[str, str | None] = {}
        self._by_start: dict[str, str | None] = {}
        for name in names:
            stem = _stem(name)
            # of several candidates none is suggested
            self._by_stem[stem] = None if stem in self._by_stem else name
            for start in _starts(stem):
                self._by_start[start] = None if start in self._by_start else name

    def like(self, name: str) -> str | None:
        """That name; None where there is none, or more than one."""
        stem = _stem(name)
        found = [self._by_stem.get(stem), self._by_start.get(stem), *map(self._by_stem.get, _starts(stem))]
        return next((other for other in found if other is not None), None)


def _stem(name: str) -> str:
    return _ADDED.sub("", unicodedata.normalize("NFC", name).casefold())


def _starts(stem: str) -> Iterator[str]:
    """The stem up to each place where letters or digits end, longest first; a few characters are no name."""
    for match in reversed(list(re.finditer(r"[^\W_](?=[\W_])", stem))):
        if match.end() >= 4:
            yield stem[: match.end()]
