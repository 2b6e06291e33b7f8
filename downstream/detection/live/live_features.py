"""Features of a stream, snippet by snippet: the encoders of a model at work, and what its detectors see of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from downstream.detection.live.rolling import RollingSnippets
from downstream.detection.live.rolling_scores import RollingStatistics
from downstream.detection.model import DetectorGroup, EncoderSource, Model
from downstream.features.encoders import Encoder
from downstream.features.encoding import encode_snippets
from downstream.features.fusion import pooled
from downstream.features.normalising import OF_VIDEO, normalised
from downstream.features.set_parts import not_finite
from downstream.features.zones import PictureMask
from pretrain.data.video import VideoError

Encode = Callable[[NDArray[np.uint8], Encoder, int, torch.device, PictureMask | None], NDArray[np.float32]]
"""What `encode_snippets` does."""


class StreamEncoders:
    """Frames -> what every source's encoder makes of each snippet; encoders that several sources share work once."""

    def __init__(self, model: Model, encode: Encode = encode_snippets) -> None:
        """`encode`: who works; several streams may share a network that takes their snippets together."""
        self._encode_snippets = encode
        self._masks: list[PictureMask | None] = [None] * len(model.sources)
        keys = [(id(source.encoder), source.settings) for source in model.sources]
        first = {key: number for number, key in reversed(list(enumerate(keys)))}
        self._sources = [model.sources[number] for number in sorted(first.values())]
        self._place = [sorted(first.values()).index(first[key]) for key in keys]
        self._device = model.device
        self._snippets = [
            RollingSnippets(source.settings, source.encoder.view(source.settings.snippet_frames))
            for source in self._sources
        ]
        self._waiting: list[deque[tuple[int, NDArray[np.float32]]]] = [deque() for _ in self._sources]

    @property
    def delay_frames(self) -> int:
        return max(snippets.delay_frames for snippets in self._snippets)

    def push(self, number: int, pixels: NDArray[np.uint8]) -> list[tuple[int, list[NDArray[np.float32]]]]:
        """The snippets that a frame completes: their first frame, and (places, dim) of each of the model's sources."""
        for place, snippets in enumerate(self._snippets):
            for start, clips in snippets.push(number, pixels):
                self._encode(place, start, clips)
        return self._complete()

    def mask(self, mask_of: Callable[[EncoderSource], PictureMask | None]) -> None:
        """Which part of what follows counts, for each source; None: all of it."""
        self._masks = [mask_of(source) for source in self._sources]

    def finish(self, is_end: bool) -> list[tuple[int, list[NDArray[np.float32]]]]:
        """The same of the snippets that waited for more frames; where tails differ, the shorter counts."""
        for place, snippets in enumerate(self._snippets):
            for start, clips in snippets.flush(is_end):
                self._encode(place, start, clips)
        complete = self._complete()
        for waiting in self._waiting:
            waiting.clear()
        return complete

    def _encode(self, place: int, start: int, clips: NDArray[np.uint8]) -> None:
        source, mask = self._sources[place], self._masks[place]
        pixels = clips[None] if mask is None else mask.hidden(clips[None])
        features = self._encode_snippets(pixels, source.encoder, source.settings.crops, self._device, mask)
        self._waiting[place].append((start, features[0]))

    def _complete(self) -> list[tuple[int, list[NDArray[np.float32]]]]:
        complete = []
        while all(self._waiting):
            heads = [waiting.popleft() for waiting in self._waiting]
            complete.append((heads[0][0], [heads[place][1] for place in self._place]))
        return complete


class GroupFeatures:
    """Features of a group's sources -> what its detectors see: as `FusedFeatures.read`, snippet by snippet."""

    def __init__(self, group: DetectorGroup, window: int) -> None:
        self.sources = group.sources
        self._group, self._window, self.detectors = group, window, group.detectors
        grids = [source.encoder.grid for source in group.sources if source.encoder.grid is not None]
        grid = group.pool_cells or (grids[0] if grids else None)
        self._places = grid[0] * grid[1] if grid else max(source.settings.crops for source in group.sources)
        self._statistics: list[RollingStatistics] = []
        self.forget()

    def forget(self) -> None:
        """Begin the statistics anew."""
        if self._group.normalise in OF_VIDEO:
            self._statistics = [RollingStatistics(self._group.normalise, self._window) for _ in self.sources]

    def memory(self, most: int) -> list[list[NDArray[Any]]]:
        """Of each source the newest snippets that its features are normalised by, at most so many; empty: they are
        not."""
        return [statistics.rows(most) for statistics in self._statistics]

    def row(self) -> NDArray[np.float32]:
        """A snippet's features as detectors see them, of zeros: (places, dim of all sources)."""
        return np.zeros((self._places, sum(source.encoder.dim for source in self.sources)), np.float32)

    def statistics_rows(self) -> list[NDArray[Any]]:
        """What `memory` holds of a snippet of each source, of zeros: (its cells or crops, dim)."""
        rows = []
        for source in self.sources if self._statistics else ():
            grid = source.encoder.grid
            places = source.settings.crops if grid is None else grid[0] * grid[1]
            rows.append(np.zeros((places, source.encoder.dim), source.dtype))
        return rows

    def recall(self, memory: Sequence[Sequence[NDArray[Any]]]) -> None:
        """Go on from what `memory` gave."""
        self.forget()
        for statistics, rows in zip(self._statistics, memory, strict=False):  # no statistics: nothing to recall
            for values in rows:
                statistics.push(values)

    @property
    def seen(self) -> int | None:
        """Snippets that features are compared with; None where they are not."""
        return self._statistics[0].count if self._statistics else None

    def values(self, features: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(places, dim) of each source -> (places, dim) of all. VideoError where they are not finite as stored."""
        parts = []
        for number, (source, own) in enumerate(zip(self.sources, features, strict=True)):
            with np.errstate(over="ignore"):
                stored: NDArray[Any] = own.astype(source.dtype)
            if not_finite("", stored[None]):
                raise VideoError(
                    f"{source.encoder.name} makes features that are no finite {source.dtype} numbers; its weights are "
                    "broken"
                )
            statistics = self._statistics[number].push(stored) if self._statistics else None
            part = normalised(stored[None], self._group.normalise, statistics, source.encoder.motion)
            if self._group.pool_cells is not None and source.encoder.grid is not None:
                part = pooled(part, source.encoder.grid, self._group.pool_cells)
            parts.append(np.broadcast_to(part[0], (self._places, part.shape[2])))
        return np.concatenate(parts, axis=1)
