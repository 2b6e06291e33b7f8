"""From a video to the frames of its snippets: which frames they are, and decoding them once, in order.

A snippet stands for `snippet_frames` frames of the video. What the encoder sees of it are clips:

    snippet      |0..............15|16.............31|         16 frames
    clip covers them exactly       x.x.x.x.x.x.x.x.            8 frames, stride 2: one clip
    clip is shorter                xxxxxxxx  then  ...xxxxxxxx two clips, first and last frames, features averaged
    clip is longer           x.x.x.x.x.x.x.x.x.x.x.x.          one clip about the snippet's middle, into its neighbours

Frames before the first and past the last one of the video show the first and the last.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from downstream.features.config import SnippetSettings
from downstream.features.crops import decode_region
from pretrain.backbones import Clip
from pretrain.data.geometry import BorderCrop
from pretrain.data.video import IndexCache, VideoError, probe, stream_frames

MAX_CHUNK_BYTES = 8 << 20


@dataclass(frozen=True, kw_only=True)
class ClipView:
    """What an encoder looks at: the clip, and where in the frame its pixels are from."""

    clip: Clip
    border_crop: BorderCrop


def clip_offsets(snippet_frames: int, clip_frames: int, clip_stride: int) -> NDArray[np.int64]:
    """int64 (clips, clip_frames): frames of a snippet's clips, counted from its first frame; see the module."""
    span = clip_frames * clip_stride
    clips = max(1, -(-snippet_frames // span))
    if clips == 1:
        starts = np.array([(snippet_frames - span) // 2])
    else:
        starts = np.arange(clips) * (snippet_frames - span) // (clips - 1)
    return starts[:, None].astype(np.int64) + np.arange(clip_frames, dtype=np.int64) * clip_stride


def snippet_clips(num_frames: int, settings: SnippetSettings, view: ClipView) -> NDArray[np.int64]:
    """int64 (snippets, clips, clip_frames): frame numbers, held at both ends of the video."""
    offsets = clip_offsets(settings.snippet_frames, view.clip.frames, view.clip.stride)
    starts = np.arange(settings.count(num_frames), dtype=np.int64) * settings.snippet_frames
    return np.clip(starts[:, None, None] + offsets, 0, num_frames - 1)


class SnippetStream:
    """One video's snippets, decoded in order, never held all at once. VideoError where it cannot be opened."""

    def __init__(self, path: str, settings: SnippetSettings, view: ClipView, cache: IndexCache) -> None:
        self.path = path
        self.info = probe(path, cache=cache)
        if self.info.num_frames < 1:
            raise VideoError(f"{path}: no frame decodes; leave it out")
        self.frames = snippet_clips(self.info.num_frames, settings, view)
        """int64 (snippets, clips, clip_frames)."""
        self.region = decode_region(self.info, settings.crops, view.clip.height, view.clip.width, view.border_crop)
        self._cache = cache

    def chunks(self, max_bytes: int = MAX_CHUNK_BYTES) -> Generator[NDArray[np.uint8], None, None]:
        """uint8 (n, clips, clip_frames, height, width, 3) of the next n >= 1 snippets, in order; VideoError."""
        flat = self.frames.reshape(len(self.frames), -1)
        first, last = flat.min(axis=1), flat.max(axis=1)
        shape = (flat.shape[1], self.region.height, self.region.width, 3)
        size = int(min(len(flat), max(1, max_bytes // int(np.prod(shape)))))
        held: dict[int, NDArray[np.uint8]] = {}
        chunk, done = np.empty((size, *shape), np.uint8), 0
        for number, picture in self._pictures(np.unique(flat)):
            held[number] = picture
            while done < len(flat) and last[done] <= number:
                for place, frame in enumerate(flat[done].tolist()):
                    chunk[done % size, place] = held[frame]
                done += 1
                needed_from = first[done] if done < len(flat) else number + 1
                held = {frame: pixels for frame, pixels in held.items() if frame >= needed_from}
                if done % size == 0 or done == len(flat):
                    filled = chunk[: (done - 1) % size + 1]
                    yield filled.reshape(len(filled), *self.frames.shape[1:], *shape[1:])
                    chunk = np.empty_like(chunk)

    def _pictures(self, frames: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        y, x, height, width = self.region[2:]
        size = (self.region.decode_height, self.region.decode_width)
        for number, picture in stream_frames(self.path, frames, size=size, cache=self._cache):
            yield number, picture[y : y + height, x : x + width].copy()
