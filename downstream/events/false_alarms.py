"""How many events normal footage has at a threshold, and the lowest threshold at which they are few enough.

The count neither only rises nor only falls with the threshold: where it falls, new events begin, near ones become one,
and short ones grow long enough. So every threshold is looked at from the highest down, until there are too many events:

    score |     ______#____________  threshold      both levels fall together, and what lies over them only ever
          |    ####_#####__________  release        grows and melts together: a step costs what it changes,
          |  ############  ##                       however long the footage is

Events are those of `finder.find_events`, counted without asking it again for every threshold (a test holds them equal).
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from downstream.events.finder import ScoredSnippets
from downstream.events.rule import SLACK_SECONDS, AlarmRule
from pretrain.data.video import Clock, clock_of

Floats = NDArray[np.float64]
_PIECE = 65_536  # positions that are Python numbers at a time
RuleAt = Callable[[float], AlarmRule]
"""Threshold -> rule, the same least length and gap for all; `release` never falls where the threshold rises."""
Melted = Callable[[int, list[tuple[int, int]], int, int], None]
"""Of a video, the events (frames, half-open) that are no more, and start and end of the one that stands in their place.
Only of those that last long enough; none to replace: a new one."""
Turn = int | None
"""The fold of videos that is left out; None: none is."""
Thresholds = dict[Turn, float]


class EventTotals(NamedTuple):
    """Of the events at one rule."""

    events: int
    seconds: float
    """How long they last together."""


class Footage:
    """Scores of many videos in one row, sorted once.

    A video of S snippets takes S + 1 positions, one an edge; the last is no snippet, so no run crosses it.
    """

    def __init__(self, videos: Sequence[tuple[ScoredSnippets, Clock | float]]) -> None:
        """`videos`: scores and clock (or frame rate) of each."""
        self.num_videos = len(videos)
        self.firsts = np.cumsum([0, *(len(scores.edges) for scores, _ in videos)]).tolist()
        """Position of each video's first snippet; the last number is where they end."""
        times = [_seconds_of(scores.edges, clock_of(clock)) for scores, clock in videos]
        self.begins, self.ends, self.seen = (np.concatenate(each) for each in zip(*times, strict=True))
        """Of each position: when its snippet begins and ends, and how much footage of the video is before it."""
        self.seconds = self.seen[np.array(self.firsts[1:]) - 1]
        self.edges: NDArray[np.int64] = np.concatenate([scores.edges for scores, _ in videos])
        self.video_of = np.repeat(np.arange(len(videos), dtype=np.int32), [len(scores.edges) for scores, _ in videos])
        self.scores = np.concatenate([np.append(scores.scores, -np.inf) for scores, _ in videos])
        self.highest = [float(scores.scores.max()) for scores, _ in videos]
        self._order: NDArray[np.int64] = np.argsort(self.scores)[: len(videos) - 1 : -1]
        self._sorted = self.scores[self._order]

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest score."""
        return float(self._sorted[-1]), float(self._sorted[0])

    def levels(self, videos: NDArray[np.bool_], down_to: float = -math.inf) -> Iterator[tuple[float, list[int]]]:
        """Scores of these videos (bool mask) from the highest down, each with the positions that have it."""
        stop = len(self._sorted) - int(np.searchsorted(self._sorted[::-1], down_to))
        for score, pairs in itertools.groupby(self._pairs(videos, stop), key=itemgetter(0)):
            yield score, [position for _, position in pairs]

    def _pairs(self, videos: NDArray[np.bool_], stop: int) -> Iterator[tuple[float, int]]:
        for begin in range(0, stop, _PIECE):
            positions = self._order[begin : min(begin + _PIECE, stop)]
            positions = positions[videos[self.video_of[positions]]]
            yield from zip(self.scores[positions].tolist(), positions.tolist(), strict=True)

    def find(self, rule: AlarmRule, videos: NDArray[np.bool_]) -> EventTotals:
        """Events of these videos (bool mask)."""
        counts = _Counts([0] * self.num_videos)
        found = FallingEvents(self, rule, counts.melted)
        for _, positions in self.levels(videos, rule.release):
            for position in positions:
                found.release(position)
        for _, positions in self.levels(videos, rule.threshold):
            for position in positions:
                found.begin(position)
        return EventTotals(sum(counts.of_folds), found.seconds())

    def lowest_thresholds(self, rule_at: RuleAt, fold_of: Sequence[int], allowed: Mapping[Turn, int]) -> Thresholds:
        """One for each turn: of all videos but those of that fold; None leaves out no video.

        The lowest score of those videos at which, and at every number above it, they have at most `allowed` events;
        just above their highest score where already that one is too low. `fold_of`: of each video. One pass is enough
        for all, since what an event is hangs on its own video alone.
        """
        everything = np.ones(len(fold_of), np.bool_)
        levels, lower = self.levels(everything), self.levels(everything)
        below, positions = next(lower)
        counts, turns = _Counts(fold_of), _Turns(self, fold_of, allowed)
        found = FallingEvents(self, rule_at(below), counts.melted)
        for threshold, begins in levels:
            # thresholds between two scores differ by their release alone; it also passes scores one at a time
            between, release = rule_at(math.nextafter(threshold, math.inf)).release, rule_at(threshold).release
            while below >= release:
                for position in positions:
                    found.release(position)
                if below >= between:
                    turns.look(counts.of_folds)
                below, positions = next(lower, (-math.inf, []))
            for position in begins:
                found.begin(position)
            turns.look(counts.of_folds)
            if not turns.open:
                break
            turns.passed(threshold, {fold_of[video] for video in self.video_of[begins]})
        return turns.end()


def _seconds_of(edges: NDArray[np.int64], clock: Clock) -> tuple[Floats, Floats, Floats]:
    """Begin, end (of the snippet from this edge on) and footage before each of the edges."""
    frames = edges.tolist()
    begins = np.array([clock.begin(frame) for frame in frames])
    ends = np.array([clock.end(frame) for frame in [*frames[1:], frames[-1]]])
    return begins, ends, np.array([clock.seen(0, frame) for frame in frames])


class _Counts:
    """How many events there are, by fold of videos."""

    def __init__(self, fold_of: Sequence[int]) -> None:
        self.of_folds = [0] * (max(fold_of) + 1)
        self._fold_of = fold_of

    def melted(self, video: int, parts: list[tuple[int, int]], start: int, end: int) -> None:
        """Takes `Melted`."""
        self.of_folds[self._fold_of[video]] += 1 - len(parts)


class _Turns:
    """Which turns are still going on, and how low their thresholds are by now."""

    def __init__(self, footage: Footage, fold_of: Sequence[int], allowed: Mapping[Turn, int]) -> None:
        self.open = set(allowed)
        self.thresholds: Thresholds = {}
        self._allowed, self._least = allowed, min(allowed.values())
        self._passed = [math.inf] * (max(fold_of) + 1)
        for turn in allowed:
            highest = max(score for score, fold in zip(footage.highest, fold_of, strict=True) if fold != turn)
            self.thresholds[turn] = math.nextafter(highest, math.inf)

    def look(self, counts: Sequence[int]) -> None:
        """Turns with too many events by now (of each fold) are over."""
        total = sum(counts)
        if total > self._least:
            for turn in list(self.open):
                if total - (0 if turn is None else counts[turn]) > self._allowed[turn]:
                    self._end(turn)

    def passed(self, threshold: float, folds: Collection[int]) -> None:
        """No turn that is going on has too many at this score, which videos of these folds have."""
        for fold in folds:
            self._passed[fold] = threshold

    def end(self) -> Thresholds:
        """The threshold of each turn."""
        for turn in list(self.open):
            self._end(turn)
        return self.thresholds

    def _end(self, turn: Turn) -> None:
        self.open.discard(turn)
        passed = [score for fold, score in enumerate(self._passed) if fold != turn]
        self.thresholds[turn] = min([self.thresholds[turn], *passed])


class FallingEvents:
    """The events while threshold and release fall: what each of them is only grows, and melts together with others.

    Runs are successive snippets that the release has passed, held as a forest whose roots are their first positions. A
    run is (part of) an event from its first snippet on that the threshold has passed.
    """

    def __init__(self, footage: Footage, rule: AlarmRule, melted: Melted) -> None:
        """`rule`: its seconds alone count here. `melted` is told of every change."""
        self._footage, self._melted = footage, melted
        self._gap, self._least = rule.merge_seconds + SLACK_SECONDS, rule.min_seconds - SLACK_SECONDS
        # no run goes on over a gap in the recording that is not merged
        pauses = footage.begins[1:] - footage.ends[:-1]
        self._is_cut = np.append(False, pauses > self._gap).tolist()
        self._up: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self._first: dict[int, int] = {}
        self._starts: list[list[int]] = [[] for _ in range(footage.num_videos)]
        self._ends: list[list[int]] = [[] for _ in range(footage.num_videos)]

    def seconds(self) -> float:
        """How much footage those are together that last long enough."""
        lengths = (
            self._length(first, last)
            for starts, ends in zip(self._starts, self._ends, strict=True)
            for first, last in zip(starts, ends, strict=True)
        )
        return sum(length for length in lengths if length >= self._least)

    def _length(self, first: int, last: int) -> float:
        return float(self._footage.seen[last + 1] - self._footage.seen[first])

    def release(self, position: int) -> None:
        """The release has come down to this snippet's score: it joins the runs beside it."""
        up, last, root = self._up, self._last, position
        if position - 1 in up and not self._is_cut[position]:
            root = self._run_of(position - 1)
        up[position], end, begins = root, position, None
        if position + 1 in up and not self._is_cut[position + 1]:  # the first of its run, so its root
            up[position + 1] = root
            end, begins = last.pop(position + 1), self._first.pop(position + 1, None)
        last[root] = end
        if root in self._first:
            self._cover(self._first[root], end)
        elif begins is not None:
            self._first[root] = begins

    def begin(self, position: int) -> None:
        """The threshold has come down to this snippet's score; the release was there before."""
        root = self._run_of(position)
        first = self._first.get(root)
        if first is None or position < first:
            self._first[root] = position
            self._cover(position, self._last[root])

    def _run_of(self, position: int) -> int:
        up = self._up
        while up[position] != position:
            up[position] = up[up[position]]
            position = up[position]
        return position

    def _cover(self, first: int, last: int) -> None:
        """Snippets `first` to `last` belong to one event, with all events that are near enough."""
        footage, video = self._footage, int(self._footage.video_of[first])
        starts, ends = self._starts[video], self._ends[video]
        i, j = self._near(first, last, video)
        parts = [
            self._frames(a, b)
            for a, b in zip(starts[i:j], ends[i:j], strict=True)
            if footage.seen[b + 1] - footage.seen[a] >= self._least
        ]
        if i < j:
            first, last = min(first, starts[i]), max(last, ends[j - 1])
        starts[i:j], ends[i:j] = [first], [last]
        if self._length(first, last) >= self._least:
            self._melted(video, parts, *self._frames(first, last))

    def _near(self, first: int, last: int, video: int) -> tuple[int, int]:
        """Which of the video's events, by number, are no further from these snippets than is merged."""
        footage, own = self._footage, (self._footage.firsts[video], self._footage.firsts[video + 1] - 1)
        from_there = bisect_left(footage.ends, footage.begins[first] - self._gap, *own)
        up_to = bisect_right(footage.begins, footage.ends[last] + self._gap, *own)
        return bisect_left(self._ends[video], from_there), bisect_left(self._starts[video], up_to)

    def _frames(self, first: int, last: int) -> tuple[int, int]:
        return int(self._footage.edges[first]), int(self._footage.edges[last + 1])
