"""Snippets of a video that has not ended: the clips that reading it as a file gives, as soon as their frames are there.

frames    |0...............16..............32.......      snippets of 16 frames
clip      |        x.x.x.x.x.x.x.x.x.x.x.x.               longer than its snippet: it waits for frames after it
held              [---------------------------)           no frame longer than a clip still needs it
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from downstream.features.config import SnippetSettings
from downstream.features.snippets import ClipView, clip_offsets, snippet_clips


class Snippet(NamedTuple):
    """A snippet whose frames are all there."""

    start: int
    """Number of its first frame; it stands for `snippet_frames` frames from there on."""
    clips: NDArray[np.uint8]
    """(clips, clip_frames, height, width, 3)."""


class RollingSnippets:
    """Takes frames in order, gives snippets in order. A run is what comes between two gaps; it begins with a snippet.

    Memory holds the frames of about one snippet and one clip, however long the run.
    """

    def __init__(self, settings: SnippetSettings, view: ClipView) -> None:
        self.settings, self.view = settings, view
        self._offsets = clip_offsets(settings.snippet_frames, view.clip.frames, view.clip.stride)
        self._waits = max(int(self._offsets.max()), settings.snippet_frames - 1)
        self._held: dict[int, NDArray[np.uint8]] = {}
        self._first, self._count, self._done = 0, 0, 0

    @property
    def delay_frames(self) -> int:
        """How many frames after a snippet's own last one must come before it is given."""
        return self._waits - (self.settings.snippet_frames - 1)

    def push(self, number: int, pixels: NDArray[np.uint8]) -> list[Snippet]:
        """The next frame, uint8 (height, width, 3), kept without a copy; the snippets that it completes."""
        if not self._count:
            self._first = number
        elif number != self._first + self._count:
            raise ValueError(f"frame {number} follows {self._first + self._count - 1}: call gap() between them")
        self._held[self._count] = pixels
        self._count += 1
        given = []
        while self._done * self.settings.snippet_frames + self._waits < self._count:
            start = self._done * self.settings.snippet_frames
            given.append(self._snippet(np.maximum(start + self._offsets, 0)))
        return given

    def flush(self, is_end: bool = True) -> list[Snippet]:
        """The run is over: its snippets that waited for frames after them; the last frame is held, as with files.

        `is_end` False: it broke off, and what is left after the last whole snippet is nobody's end of a video.
        """
        given = []
        if self._count:
            frames = snippet_clips(self._count, self.settings, self.view)
            past = len(frames) if is_end else self._count // self.settings.snippet_frames
            for own in range(self._done, past):
                given.append(self._snippet(frames[own]))
        self.gap()
        return given

    def gap(self) -> None:
        """Frames are missing: forget what has not become a snippet. The next frame begins a run."""
        self._held.clear()
        self._count = self._done = 0

    def _snippet(self, frames: NDArray[np.int64]) -> Snippet:
        """The next one, of these frames of the run."""
        clips = np.stack([self._held[frame] for frame in frames.reshape(-1).tolist()])
        start = self._done * self.settings.snippet_frames
        self._done += 1
        needed_from = max(0, start + self.settings.snippet_frames + int(self._offsets.min()))
        for frame in range(min(self._held), min(needed_from, self._count - 1)):
            del self._held[frame]
        return Snippet(self._first + start, clips.reshape(*frames.shape, *clips.shape[1:]))
