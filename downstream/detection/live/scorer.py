"""Frames of one stream in, a score of each snippet out: what `score_files` says of a file, as soon as it can be said.

Each encoder's snippets go through the code that files go through. Two things a stream cannot have: features that are
normalised by the whole video are normalised by what the camera has shown of late, and a detector that sees the whole
video (by attention) sees as much. All else is the same, to rounding.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downstream.detection.live.live_features import Encode, GroupFeatures, StreamEncoders
from downstream.detection.live.rolling_scores import WINDOW_SNIPPETS
from downstream.detection.live.stream_scores import StreamMemory, StreamScores, split_lookahead
from downstream.detection.model import EncoderSource, Model
from downstream.features.crops import MARGIN, Region, decode_region
from downstream.features.encoding import encode_snippets
from downstream.scores.cell_mask import masked_cells
from downstream.scores.ensemble import mean_scores
from downstream.scores.score_map import ScoreMap
from pretrain.data.video import VideoInfo
from pretrain.errors import UserError, problem_list

MOST_NORMALISED = 256
"""Snippets whose features are remembered where features are normalised by what was seen: they are large."""


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
        (MARGIN[source.settings.crops], clip.height, clip.width, source.encoder.border_crop)
        for source in model.sources
        for clip in [source.encoder.clip]
    }
    if len(looks) > 1:
        raise UserError(
            f"{model.path}: its {len(looks)} encoders look at different parts or sizes of the picture, and a stream is "
            f"decoded once, for one of them:\n{problem_list([_look(source) for source in model.sources])}\n"
            "Record the stream and score the files, or give a detector on one feature set"
        )
    encoder, crops = model.sources[0].encoder, model.sources[0].settings.crops
    return lambda info: decode_region(info, crops, encoder.clip.height, encoder.clip.width, encoder.border_crop)


def _look(source: EncoderSource) -> str:
    encoder, clip = source.encoder, source.encoder.clip
    border = ", ".join(f"{share:g}" for share in encoder.border_crop)
    return f"{encoder.name}: {source.settings.crops} crop(s) of {clip.height}x{clip.width}, borders {border}"


def require_rows(memory: Mapping[str, NDArray[Any]], like: Mapping[str, NDArray[Any]]) -> None:
    """UserError unless everything in a memory is rows (snippets, places, numbers) as the one of its name in `like`."""
    for name, rows in memory.items():
        if name not in like:
            raise UserError(f"it holds '{name[:80]}', and this camera has {', '.join(like) or 'nothing'}")
        own = like[name]
        if rows.shape[1:] != own.shape or rows.dtype != own.dtype:
            raise UserError(
                f"{name} has rows {rows.shape[1:]} of {rows.dtype}, and this camera's are {own.shape} of {own.dtype}"
            )


class LiveScorer:
    """Takes the frames of a stream in order, gives scores in order. Memory does not grow with time."""

    def __init__(
        self,
        model: Model,
        lookahead: int | None = None,
        window_snippets: int = WINDOW_SNIPPETS,
        settle_snippets: int = 0,
        *,
        remembers: bool = False,
        encode: Encode = encode_snippets,
    ) -> None:
        """`lookahead`: snippets that a score waits for; None: as many as any of the detectors looks ahead.

        `settle_snippets`: where scores depend on what was seen before, those of the first so many are not settled.
        `remembers`: what scores are compared with is kept over gaps, and can be kept in a file (`memory`). `encode`:
        see `StreamEncoders`. UserError: more lookahead than does any good.
        """
        detectors = model.detectors
        reaches = [detector.reach for detector in detectors]
        reach = None if None in reaches else max(snippets for snippets in reaches if snippets is not None)
        self.model, self._weights = model, model.weights
        self._lookahead = split_lookahead(detectors, lookahead, window_snippets)
        self._encoders = StreamEncoders(model, encode)
        self._groups = [GroupFeatures(group, window_snippets) for group in model.groups]
        self._streams = [
            StreamScores(group.detectors, reach, self._lookahead, window_snippets, model.device, remembers)
            for group in model.groups
        ]
        self._settle_snippets = min(settle_snippets, window_snippets)  # no more than the statistics are of
        self._settled_from: int | None = None if self.compares else 0
        self._arrivals: deque[tuple[int, float]] = deque()
        self._size: tuple[int, int] = (0, 0)
        self._seen = (0.0, 0.0, 0.0, 0.0)
        self._cells: NDArray[np.bool_] | None = None
        for detector in model.detectors:
            detector.eval()

    @property
    def compares(self) -> bool:
        """Whether scores depend on what the camera has shown before."""
        return bool(self._compared_with())

    @property
    def delay_frames(self) -> int:
        """Frames that must come after a snippet's last one before it can be scored."""
        return self._encoders.delay_frames + self._lookahead.total * self.model.snippet_frames

    def look(self, info: VideoInfo) -> None:
        """What follows looks like this; call it before the first frame, and whenever the input was opened again.

        VideoError where the zones leave nothing of it.
        """
        size = (info.width, info.height)
        if size == self._size:
            return
        self._apply_zones(info)
        # another picture: what was seen of the old one says nothing of it
        self._size, self._seen = size, self.model.sources[0].encoder.seen(info)
        for group, stream in zip(self._groups, self._streams, strict=True):
            group.forget()
            stream.forget()
        self._settled_from = None if self.compares else 0

    def _apply_zones(self, info: VideoInfo) -> None:
        if self.model.zones is None:
            return
        region = region_for(self.model)(info)
        self._encoders.mask(lambda source: self.model.picture_mask(info, region, source))
        self._cells = self.model.cells_inside(info, self.model.sources[0].encoder.seen(info))

    def leave_out(self, start: int) -> None:
        """Nothing that follows is compared with the snippet that begins there, whose score is known."""
        for stream in self._streams:
            stream.leave_out(start)

    def memory(self) -> dict[str, NDArray[Any]]:
        """What scores are compared with, of snippets that were scored and not left out: (snippets, places, numbers)
        each. Empty where nothing is compared, or nothing was seen yet."""
        rows: dict[str, Sequence[NDArray[Any]]] = {}
        for number, (group, stream) in enumerate(zip(self._groups, self._streams, strict=True)):
            memory = stream.memory()
            rows[f"{number}.context"] = memory.context
            rows |= {f"{number}.evidence.{place}": values for place, values in enumerate(memory.evidence)}
            statistics = group.memory(MOST_NORMALISED)
            rows |= {f"{number}.statistics.{place}": values for place, values in enumerate(statistics)}
        return {name: np.stack(list(values)) for name, values in rows.items() if len(values)}

    def recall(self, memory: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `memory` gave, by the same model; after `look`, before the first frame.

        UserError: rows that a memory of this model does not have, or of another shape or type.
        """
        require_rows(memory, self._rows())
        for number, (group, stream) in enumerate(zip(self._groups, self._streams, strict=True)):
            evidence = [list(memory.get(f"{number}.evidence.{place}", ())) for place in range(len(group.detectors))]
            stream.recall(StreamMemory(list(memory.get(f"{number}.context", ())), evidence))
            group.recall([list(memory.get(f"{number}.statistics.{n}", ())) for n in range(len(group.sources))])

    def _rows(self) -> dict[str, NDArray[Any]]:
        """A row of everything that `memory` may hold, of zeros."""
        rows: dict[str, NDArray[Any]] = {}
        for number, (group, stream) in enumerate(zip(self._groups, self._streams, strict=True)):
            like = stream.rows(group.row())
            rows |= {f"{number}.context": row for row in like.context}
            rows |= {f"{number}.evidence.{place}": row for place, own in enumerate(like.evidence) for row in own}
            rows |= {f"{number}.statistics.{place}": row for place, row in enumerate(group.statistics_rows())}
        return rows

    def push(self, number: int, pixels: NDArray[np.uint8], arrived: float) -> list[LiveScore]:
        """The next frame (height, width, 3) of `region_for`'s region; the scores that it completes. VideoError."""
        self._arrivals.append((number, arrived))
        return self._scores(self._encoders.push(number, pixels))

    def finish(self, is_end: bool) -> list[LiveScore]:
        """No frame follows the last one directly: the scores of snippets that waited, with what there is.

        `is_end`: as at the end of a file, tail and all; else the stream broke off, and frames after the last whole
        snippet are left out. The next frame begins anew. VideoError.
        """
        scores = self._scores(self._encoders.finish(is_end))
        waited = zip(*(stream.flush() for stream in self._streams), strict=True)
        scores += [self._score(of_groups) for of_groups in waited]
        self._arrivals.clear()
        if any(stream.compared is not None for stream in self._streams):
            self._settled_from = None
        return scores

    def _scores(self, snippets: Sequence[tuple[int, list[NDArray[np.float32]]]]) -> list[LiveScore]:
        """What the features of these snippets complete."""
        scores = []
        for start, features in snippets:
            done = []
            for group, stream in zip(self._groups, self._streams, strict=True):
                own, features = features[: len(group.sources)], features[len(group.sources) :]
                done.append(stream.push(start, group.values(own)))
            if self._settled_from is None and min(self._compared_with()) >= self._settle_snippets:
                self._settled_from = start
            scores += [self._score(of_groups) for of_groups in zip(*done, strict=True)]
        return scores

    def _compared_with(self) -> list[int]:
        """How many snippets scores are compared with, by whatever compares; empty where nothing does."""
        counts = [*(group.seen for group in self._groups), *(stream.compared for stream in self._streams)]
        return [count for count in counts if count is not None]

    def _score(self, of_groups: Sequence[tuple[int, list[NDArray[np.float64]]]]) -> LiveScore:
        start = of_groups[0][0]
        end = start + self.model.snippet_frames
        rows = [row for _, of_detectors in of_groups for row in of_detectors]
        settled = self._settled_from is not None and start >= self._settled_from
        arrived = self._arrived(end - 1)
        if self.model.grid is None:
            score = float(mean_scores([row.mean(keepdims=True) for row in rows], self._weights)[0])
            return LiveScore(start, end, score, None, arrived, settled)
        cells = mean_scores([row.reshape(1, *self.model.grid) for row in rows], self._weights)
        if self._cells is not None:
            cells = masked_cells(cells, self._cells)
        return LiveScore(start, end, float(cells.max()), ScoreMap(cells, self._size, self._seen), arrived, settled)

    def _arrived(self, number: int) -> float | None:
        while self._arrivals and self._arrivals[0][0] < number:
            self._arrivals.popleft()
        return self._arrivals[0][1] if self._arrivals else None
