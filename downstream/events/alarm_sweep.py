"""Every threshold at once: which annotated anomalies are found at it, and how many events are false alarms.

    threshold falls ->   .97    .90    .81    .62 ...     each annotated anomaly is found from some threshold on, and
    found                  |      1      1      2         stays found: as the threshold falls (and the release with it)
    false alarms           |      0      2      1         events only grow. False alarms come, and go again where they
    most so far            |      0      2      2         melt together or grow into an anomaly

So a low threshold can have few false alarms only because everything is one long event. Nobody wants that one: as in
`calibration`, a rate is kept where no higher threshold breaks it, which `most so far` says.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from downstream.events.false_alarms import FallingEvents, Footage
from downstream.events.finder import ScoredSnippets
from downstream.events.rule import release_below, rule_with_margin
from pretrain.data.video import Clock

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
_LAST_BIT = 1 + 1e-9  # 3 in 30 hours are 0.1 an hour, whatever the last bit of it says


class AnnotatedScores(ScoredSnippets, Protocol):
    """Scores of a video of which it is known where its anomalies are."""

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Anomalous frames, half-open, sorted and disjoint; none: a normal video."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class AlarmSweep:
    """What changes while the threshold falls through every score, until all anomalies are found.

    An anomaly is found if an event holds at least one of its frames; an event that holds no anomalous frame at all is a
    false alarm.
    """

    hours: Floats
    """(videos,): of all frames, anomalous ones too."""
    highest_score: float
    found_from: Floats
    """(anomalies,), falling: the highest threshold at which each annotated anomaly is found; -inf: at none."""
    found_in: Counts
    """(anomalies,): its video."""
    thresholds: Floats
    """(changes,), falling: where the number of false alarms changes."""
    changed_in: Counts
    """(changes,): the video."""
    changes: Counts
    """(changes,): how many false alarms there are more (or, below 0, fewer) at this threshold and below it."""

    @cached_property
    def _last(self) -> Counts:
        """Of the changes that one threshold makes, the last."""
        return np.flatnonzero(np.diff(self.thresholds, append=-np.inf))

    def most_false_alarms(self) -> Counts:
        """(thresholds that change something,): false alarms in all videos, the most at this or any higher one."""
        return np.maximum.accumulate(np.cumsum(self.changes)[self._last])

    def found_shares(self, weights: Floats, per_hour: Floats) -> Floats:
        """(draws, rates): share of the anomalies found by the lowest threshold at which, and at every higher score,
        there are at most `per_hour` (rates,) false alarms an hour. Videos count `weights` (draws, videos) times; NaN in
        a draw without an anomaly.
        """
        allowed = np.outer(weights @ self.hours, per_hour) * _LAST_BIT
        thresholds, shares = np.append(self.thresholds[self._last], -np.inf), np.full(allowed.shape, np.nan)
        for row, own in enumerate(weights):
            most = np.maximum.accumulate(np.cumsum(own[self.changed_in] * self.changes)[self._last])
            too_low = thresholds[np.searchsorted(most, allowed[row], side="right")]
            found = np.append(0.0, np.cumsum(own[self.found_in]))
            if found[-1]:
                shares[row] = found[self._found_above(too_low)] / found[-1]
        return shares

    def highest_threshold(self, allowed: float) -> float:
        """Where as much is found as with at most so many false alarms: the highest of such thresholds, which has the
        fewest and shortest alarms. Just above all scores where nothing is."""
        kept = int(np.searchsorted(self.most_false_alarms(), allowed, side="right"))
        found = int(self._found_above(np.append(self.thresholds[self._last], -np.inf)[kept]))
        return float(self.found_from[found - 1]) if found else math.nextafter(self.highest_score, math.inf)

    def _found_above(self, thresholds: Floats) -> Counts:
        """How many anomalies are found at thresholds higher than these."""
        return np.searchsorted(-self.found_from, -thresholds)


def sweep_thresholds(
    videos: Sequence[tuple[AnnotatedScores, Clock | float]], *, margin: float, min_seconds: float, merge_seconds: float
) -> AlarmSweep:
    """Of videos and their clocks, or frames per second. Events at each threshold: those of `find_events` with
    `rule_with_margin(threshold, margin, min_seconds, merge_seconds)`.

    In one pass, whose time grows with the snippets and not with the thresholds. It ends where all anomalies are found:
    nothing that a lower threshold does changes what is found at any rate.
    """
    footage = Footage(videos)
    judge = _Judge([video.spans for video, _ in videos])
    events = FallingEvents(footage, rule_with_margin(0.5, margin, min_seconds, merge_seconds), judge.melted)
    everything = np.ones(len(videos), np.bool_)
    lower = footage.levels(everything)
    below, positions = next(lower)
    for threshold, begins in footage.levels(everything):
        judge.threshold, release = threshold, release_below(threshold, margin)
        while below >= release:
            for position in positions:
                events.release(position)
            below, positions = next(lower, (-math.inf, []))
        for position in begins:
            events.begin(position)
        if len(judge.found) == judge.anomalies:
            break
    return judge.sweep(footage)


class _Judge:
    """Tells false alarms from events that hold an anomalous frame, while the threshold falls."""

    def __init__(self, spans: Sequence[tuple[tuple[int, int], ...]]) -> None:
        self.threshold = math.inf
        self._spans = spans
        self._starts = [[start for start, _ in own] for own in spans]
        self.anomalies = sum(map(len, spans))
        self.found: list[tuple[float, int]] = []
        """Threshold and video of each."""
        self._not_found = [list(own) for own in spans]
        self._changes: list[tuple[float, int, int]] = []

    def melted(self, video: int, parts: list[tuple[int, int]], start: int, end: int) -> None:
        """Takes `false_alarms.Melted`."""
        if not self._spans[video]:
            change = 1 - len(parts)
        else:
            change = self._is_false(video, start, end) - sum(self._is_false(video, *part) for part in parts)
            if before := self._not_found[video]:
                self._not_found[video] = [span for span in before if not (span[0] < end and start < span[1])]
                self.found += [(self.threshold, video)] * (len(before) - len(self._not_found[video]))
        if change:
            self._changes.append((self.threshold, video, change))

    def _is_false(self, video: int, start: int, end: int) -> bool:
        before = bisect_left(self._starts[video], end)
        return not before or self._spans[video][before - 1][1] <= start

    def sweep(self, footage: Footage) -> AlarmSweep:
        """All that was told; what was never found, last."""
        found = self.found + [(-math.inf, video) for video, left in enumerate(self._not_found) for _ in left]
        return AlarmSweep(
            hours=footage.seconds / 3600,
            highest_score=footage.range[1],
            found_from=np.array([threshold for threshold, _ in found], np.float64),
            found_in=np.array([video for _, video in found], np.int64),
            thresholds=np.array([threshold for threshold, *_ in self._changes], np.float64),
            changed_in=np.array([video for _, video, _ in self._changes], np.int64),
            changes=np.array([change for *_, change in self._changes], np.int64),
        )
