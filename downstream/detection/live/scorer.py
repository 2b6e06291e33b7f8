"""Frames of one stream in, a score of each snippet out: what `score_files` says of a file, as soon as it can be said.

Each encoder's snippets go through the code that files go through. Two things a stream cannot have: features that are
normalised by the whole video are normalised by what the camera has shown of late, and a detector that sees the whole
video (a transformer) sees as much. All else is the same, to rounding.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from downstream.detection.live.rolling import RollingSnippets
from downstream.detection.live.rolling_scores import WINDOW_SNIPPETS, Block, RollingScores, RollingStatistics
from downstream.detection.model import Member, Model, Source
from downstream.evaluation.score_map import ScoreMap
from downstream.evaluation.together import mean_scores
from downstream.features.crops import MARGIN, Region, decode_region
from downstream.features.encoding import encode_snippets
from downstream.features.fusion import pooled
from downstream.features.normalising import OF_VIDEO, normalised
from downstream.features.store import not_finite
from downstream.score import score_block
from pretrain.data.video import VideoError, VideoInfo
from pretrain.errors import UserError, problem_list


class LiveScore(NamedTuple):
    """The score of frames `[start, end)`."""

    start: int
    end: int
    score: float
    map: ScoreMap | None
    """Of this one snippet, of a detector that scores cells."""
    arrived: float | None
    """When its last frame arrived, in seconds since 1970; None where the stream ended before that frame."""
    is_settled: bool
    """Whether what it was compared with has been seen for long enough: see `LiveScorer`."""


def region_for(model: Model) -> Callable[[VideoInfo], Region]:
    """Which part of a picture all of a model's encoders look at, and at what scale.

    UserError where they look at several: a stream is decoded once.
    """
    looks = {
        (MARGIN[source.settings.crops], source.encoder.height, source.encoder.width, source.encoder.border_crop)
        for source in model.sources
    }
    if len(looks) > 1:
        raise UserError(
            f"{model.path}: its {len(looks)} encoders look at different parts or sizes of the picture, and a stream is "
            f"decoded once, for one of them:\n{problem_list([_look(source) for source in model.sources])}\n"
            "Record the stream and score the files, or give a detector on one feature set"
        )
    encoder, crops = model.sources[0].encoder, model.sources[0].settings.crops
    return lambda info: decode_region(info, crops, encoder.height, encoder.width, encoder.border_crop)


def _look(source: Source) -> str:
    encoder = source.encoder
    border = ", ".join(f"{share:g}" for share in encoder.border_crop)
    return f"{encoder.name}: {source.settings.crops} crop(s) of {encoder.height}x{encoder.width}, borders {border}"


class LiveScorer:
    """Takes the frames of a stream in order, gives scores in order. Memory does not grow with time."""

    def __init__(
        self,
        model: Model,
        lookahead: int | None = None,
        window_snippets: int = WINDOW_SNIPPETS,
        settle_snippets: int = 0,
    ) -> None:
        """`lookahead`: snippets that a score waits for; None: as many as any of the detectors looks ahead.

        `settle_snippets`: where features are normalised by the video, scores of the first so many are not settled.
        UserError: more lookahead than does any good.
        """
        reaches = [detector.reach for detector in model.detectors]
        reach = None if None in reaches else max(each for each in reaches if each is not None)
        self.model = model
        self._feeds = _Feeds(model)
        self._members = [_LiveMember(member, window_snippets) for member in model.members]
        self._rolling = [RollingScores(reach, lookahead, window_snippets) for _ in model.members]
        self._settle_snippets = settle_snippets
        self._settled_from: int | None = None if self.compares else 0
        self._arrivals: deque[tuple[int, float]] = deque()
        self._size: tuple[int, int] = (0, 0)
        self._seen = (0.0, 0.0, 0.0, 0.0)
        for detector in model.detectors:
            detector.eval()

    @property
    def compares(self) -> bool:
        """Whether scores depend on what the camera has shown before."""
        return any(member.normalise in OF_VIDEO for member in self.model.members)

    @property
    def delay_frames(self) -> int:
        """Frames that must come after a snippet's last one before it can be scored."""
        return self._feeds.delay_frames + self._rolling[0].lookahead * self.model.snippet_frames

    def look(self, info: VideoInfo) -> None:
        """What follows looks like this; call it before the first frame, and whenever the input was opened again."""
        size = (info.width, info.height)
        if size == self._size:
            return
        # another picture: what was seen of the old one says nothing of it
        self._size, self._seen = size, self.model.sources[0].encoder.seen(info)
        for member in self._members:
            member.forget()
        self._settled_from = None if self.compares else 0

    def push(self, number: int, pixels: NDArray[np.uint8], arrived: float) -> list[LiveScore]:
        """The next frame (height, width, 3) of `region_for`'s region; the scores that it completes. VideoError."""
        self._arrivals.append((number, arrived))
        return self._scores(self._feeds.push(number, pixels))

    def finish(self, is_end: bool) -> list[LiveScore]:
        """No frame follows the last one directly: the scores of snippets that waited, with what there is.

        `is_end`: as at the end of a file, tail and all; else the stream broke off, and frames after the last whole
        snippet are left out. The next frame begins anew. VideoError.
        """
        scores = self._scores(self._feeds.finish(is_end))
        scores += [self._score(blocks) for blocks in zip(*(each.flush() for each in self._rolling), strict=True)]
        self._arrivals.clear()
        return scores

    def _scores(self, snippets: Sequence[tuple[int, list[NDArray[np.float32]]]]) -> list[LiveScore]:
        """What the features of these snippets complete."""
        found = []
        for start, features in snippets:
            blocks = []
            for member, rolling in zip(self._members, self._rolling, strict=True):
                own, features = features[: len(member.parts)], features[len(member.parts) :]
                blocks.append(rolling.push(start, member.values(own)))
            if self._settled_from is None and self._members_seen() >= self._settle_snippets:
                self._settled_from = start
            found += [self._score(each) for each in zip(*blocks, strict=True)]
        return found

    def _members_seen(self) -> int:
        return min(member.seen for member in self._members if member.seen is not None)

    def _score(self, blocks: Sequence[Block]) -> LiveScore:
        start = blocks[0].snippet
        end = start + self.model.snippet_frames
        rows = [
            score_block(detector, torch.from_numpy(block.values).to(self.model.device))[block.row]
            for member, block in zip(self.model.members, blocks, strict=True)
            for detector in member.detectors
        ]
        settled = self._settled_from is not None and start >= self._settled_from
        arrived = self._arrived(end - 1)
        if self.model.grid is None:
            score = float(mean_scores([row.mean(keepdims=True) for row in rows])[0])
            return LiveScore(start, end, score, None, arrived, settled)
        cells = mean_scores([row.reshape(1, *self.model.grid) for row in rows])
        return LiveScore(start, end, float(cells.max()), ScoreMap(cells, self._size, self._seen), arrived, settled)

    def _arrived(self, number: int) -> float | None:
        while self._arrivals and self._arrivals[0][0] < number:
            self._arrivals.popleft()
        return self._arrivals[0][1] if self._arrivals else None


class _Feeds:
    """Frames -> what every source's encoder makes of each snippet; encoders that several sources share work once."""

    def __init__(self, model: Model) -> None:
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
        return max(each.delay_frames for each in self._snippets)

    def push(self, number: int, pixels: NDArray[np.uint8]) -> list[tuple[int, list[NDArray[np.float32]]]]:
        """The snippets that a frame completes: their first frame, and (places, dim) of each of the model's sources."""
        for place, snippets in enumerate(self._snippets):
            for start, clips in snippets.push(number, pixels):
                self._encode(place, start, clips)
        return self._complete()

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
        source = self._sources[place]
        features = encode_snippets(clips[None], source.encoder, source.settings.crops, self._device)
        self._waiting[place].append((start, features[0]))

    def _complete(self) -> list[tuple[int, list[NDArray[np.float32]]]]:
        found = []
        while all(self._waiting):
            heads = [waiting.popleft() for waiting in self._waiting]
            found.append((heads[0][0], [heads[place][1] for place in self._place]))
        return found


class _LiveMember:
    """Features of a member's sources -> what its detectors see: as `FusedFeatures.read`, snippet by snippet."""

    def __init__(self, member: Member, window: int) -> None:
        self.parts = member.sources
        self._member, self._window = member, window
        grids = [source.encoder.grid for source in member.sources if source.encoder.grid is not None]
        grid = member.pool_cells or (grids[0] if grids else None)
        self._places = grid[0] * grid[1] if grid else max(source.settings.crops for source in member.sources)
        self._statistics: list[RollingStatistics] = []
        self.forget()

    def forget(self) -> None:
        """Begin the statistics anew."""
        if self._member.normalise in OF_VIDEO:
            self._statistics = [RollingStatistics(self._member.normalise, self._window) for _ in self.parts]

    @property
    def seen(self) -> int | None:
        """Snippets that features are compared with; None where they are not."""
        return self._statistics[0].count if self._statistics else None

    def values(self, features: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(places, dim) of each source -> (places, dim) of all. VideoError where they are not finite as stored."""
        parts = []
        for number, (source, own) in enumerate(zip(self.parts, features, strict=True)):
            with np.errstate(over="ignore"):
                stored: NDArray[Any] = own.astype(source.dtype)
            if not_finite("", stored[None]):
                raise VideoError(
                    f"{source.encoder.name} makes features that are no finite {source.dtype} numbers; its weights are "
                    "broken"
                )
            statistics = self._statistics[number].push(stored) if self._statistics else None
            part = normalised(stored[None], self._member.normalise, statistics)
            if self._member.pool_cells is not None and source.encoder.grid is not None:
                part = pooled(part, source.encoder.grid, self._member.pool_cells)
            parts.append(np.broadcast_to(part[0], (self._places, part.shape[2])))
        return np.concatenate(parts, axis=1)
