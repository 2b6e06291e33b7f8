"""Scores of a video that has not ended: which snippets a detector must see, and what a camera looks like of late.

snippets  |. . . . o o o o S o o o o|      a detector that looks 4 snippets to each side (its reach)
lookahead 4          block [---------]     waits for 4 more: S scores what it scores in the whole video
lookahead 0        [-------S               newest first: nothing waits, S does without what comes after it
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downstream.features.normalising import Normalise, Statistics, statistics_of
from pretrain.errors import UserError

WINDOW_SNIPPETS = 256
BEFORE = -1
"""Stands for every snippet of an earlier run."""


class Block(NamedTuple):
    """What a detector must see to score one snippet."""

    snippet: int
    """As it was named to `push`."""
    values: NDArray[Any]
    """(T, places, dim) of successive snippets, a copy."""
    row: int
    """The snippet's own."""


class RollingScores:
    """Takes features in order, gives the block to score of each snippet once its `lookahead` has come.

    With the detector's reach as lookahead, `score(block.values)[block.row]` is the score in the whole video. A detector
    that sees all of a video (`reach` None, by attention) sees the last `window` snippets instead.
    """

    def __init__(
        self, reach: int | None, lookahead: int | None = None, window: int = WINDOW_SNIPPETS, neighbours: int = 0
    ) -> None:
        """`lookahead` None: the reach, or 0 where there is none; see `stream_scores.split_lookahead`. `neighbours`:
        snippets before a block's own that stay in it, whatever is left out."""
        if window < 1:
            raise UserError(f"no scores over a rolling window of {window} snippets; it must be at least 1")
        self.lookahead = lookahead if lookahead is not None else (reach or 0)
        """Snippets waited for after each."""
        self._before = window - 1 - self.lookahead if reach is None else reach
        self._seen: deque[tuple[int, NDArray[Any]]] = deque(maxlen=self._before + 1 + self.lookahead)
        self._waiting, self._neighbours = 0, neighbours
        self._unwanted: set[int] = set()

    def push(self, snippet: int, values: NDArray[Any]) -> list[Block]:
        """Features, or evidence (places, dim), of the next snippet; the block it completes, if any."""
        self._seen.append((snippet, np.array(values)))
        self._waiting += 1
        self._let_go()
        return [self._block()] if self._waiting > self.lookahead else []

    def flush(self, remembers: bool = False) -> list[Block]:
        """The run is over: the blocks that waited, with what there is, as at the end of a file. Then as `gap`, unless
        what follows is compared with what was seen all the same (`remembers`)."""
        blocks = [self._block() for _ in range(self._waiting)]
        if not remembers:
            self.gap()
        return blocks

    def leave_out(self, snippet: int) -> None:
        """Nothing is compared with this one, as soon as it is nobody's neighbour any more."""
        self._unwanted.add(snippet)

    def scored(self) -> list[NDArray[Any]]:
        """What was seen of the snippets that were scored and not left out, in order."""
        done = len(self._seen) - self._waiting
        return [values for snippet, values in list(self._seen)[:done] if snippet not in self._unwanted]

    def recall(self, rows: NDArray[Any]) -> None:
        """Go on from what `scored` gave once (N, places, dim): of an earlier run, no snippet of this one has its
        names."""
        self.gap()
        self._seen.extend((BEFORE, np.array(values)) for values in rows)

    def gap(self) -> None:
        """Snippets are missing: what comes is not seen together with what was."""
        self._seen.clear()
        self._unwanted.clear()
        self._waiting = 0

    def _let_go(self) -> None:
        if not self._unwanted:
            return
        past = len(self._seen) - self._waiting - self._neighbours
        rows = list(self._seen)
        kept = [row for place, row in enumerate(rows) if place >= past or row[0] not in self._unwanted]
        if len(kept) < len(rows):
            self._seen = deque(kept, maxlen=self._seen.maxlen)
        self._unwanted &= {snippet for snippet, _ in kept}

    def _block(self) -> Block:
        """Of the first snippet that waits: as far as the detector looks back, and at most `lookahead` on."""
        own = len(self._seen) - self._waiting
        self._waiting -= 1
        first = max(0, own - self._before)
        seen = list(self._seen)[first : own + self.lookahead + 1]
        return Block(self._seen[own][0], np.stack([values for _, values in seen]), own - first)


class RollingStatistics:
    """What `normalised(..., "place")` and `"video"` need to know of the whole video, over the last `window` snippets.

    Offline they take the mean (and deviation) of all of a video; a camera never has all of it. The first snippets of a
    run are compared with little: the very first with itself, so that `place` makes zeros of it (`count` says how many
    there are). Sums in double precision over a ring, made anew each time it has gone round, so that rounding errors
    do not add up over days.
    """

    def __init__(self, how: Normalise, window: int = WINDOW_SNIPPETS) -> None:
        """`how`: "place" or "video"."""
        if window < 1:
            raise UserError(f"window is {window}; it must be at least 1 snippet")
        self.how, self.window = how, window
        self._ring: NDArray[Any] = np.empty((0, 0, 0), np.float32)
        self._total, self._squares = np.zeros(0), np.zeros(0)
        self._pushed = 0

    @property
    def count(self) -> int:
        """Snippets that the statistics are of."""
        return min(self._pushed, self.window)

    def push(self, values: NDArray[Any]) -> Statistics:
        """Take the next snippet's features (places, dim), kept in their own type; the statistics with it."""
        if not self._pushed:
            self._ring = np.zeros((self.window, *values.shape), values.dtype)
            self._total, self._squares = np.zeros(values.shape), np.zeros(values.shape[1])
        place = self._pushed % self.window
        old, new = self._ring[place].astype(np.float64), values.astype(np.float64)
        self._ring[place] = values
        self._pushed += 1
        if place == self.window - 1:
            self._sum_anew()
        else:
            self._total += new - old
            self._squares += (new**2).sum(axis=0) - (old**2).sum(axis=0)
        return self.statistics()

    def rows(self, most: int) -> list[NDArray[Any]]:
        """The features of at most so many snippets, the newest, oldest first."""
        count = min(self.count, most)
        return [self._ring[(self._pushed - count + number) % self.window] for number in range(count)]

    def statistics(self) -> Statistics:
        """Of the snippets in the window."""
        return statistics_of(self._total, self._squares, self.count, self.how)

    def _sum_anew(self) -> None:
        self._total[:] = 0
        self._squares[:] = 0
        for values in self._ring:  # one by one: the ring may be large
            new = values.astype(np.float64)
            self._total += new
            self._squares += (new**2).sum(axis=0)
