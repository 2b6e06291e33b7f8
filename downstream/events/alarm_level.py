"""How alarming a score is, for people: a level from 0 to 10, a word, and how often normal footage is as high.

    level 0      1      2      3      4      5      6      7      8      9     10
          ordinary                          threshold                  twice as far, in log odds
          ordinary   unusual       very   alarm ...                    with a calibration
          ordinary   unusual ...          very unusual   ...           without: relative to the video's own scores

A score of 0.99977 tells nobody anything: detectors differ in how sure they are. A calibration knows how high ordinary
footage of these cameras scores and how often it raises an alarm. Without one there is only the video itself, and the
words say so: its most unusual moment need not be unusual at all.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from downstream.events.calibration_file import Calibration
from downstream.scores.log_odds import log_odds

Word = Literal["ordinary", "unusual", "very unusual", "alarm"]
RelativeTo = Literal["normal footage", "this video", "this stream"]

HIGHEST, AT_THRESHOLD = 10, 5
"""The levels of the highest scores and of the threshold."""
UNUSUAL_FROM, VERY_FROM = 2, 4
DEVIATIONS = 3.0
"""Without a calibration level 5 is so many robust standard deviations above the video's own median [ours]."""
NORMAL_DEVIATIONS = 1.4826
"""Standard deviations of normally distributed values in a median absolute deviation of 1 (Hampel, 1974)."""
LEAST_RISE = 1.0
"""From level 0 to level 5 at least, in log odds: less would make mountains of trifles [ours]."""
EDGE = 5e-9
"""Scores are held so far off 0 and 1, which have no log odds."""


@dataclass(frozen=True, kw_only=True)
class AlarmLevel:
    """What is said of one score."""

    value: int
    """0 to 10."""
    word: Word
    relative_to: RelativeTo
    once_in_hours: float | None = None
    """A calibration's normal footage has an event this high once in so many hours; None: not known, or no alarm."""
    is_at_least: bool = False
    """Nothing in that footage was as high: once in so many hours at most."""

    @property
    def short(self) -> str:
        """`7 of 10, alarm`: where there is little room."""
        return f"{self.value} of {HIGHEST}, {self.word}"

    @property
    def words(self) -> str:
        """`alarm, level 7 of 10: as high once in 9 h of normal footage`."""
        whose = "" if self.relative_to == "normal footage" else f" for {self.relative_to}"
        text = f"{self.word}{whose}, level {self.value} of {HIGHEST}"
        return f"{text}: {self.how_often}" if self.how_often else text

    @property
    def how_often(self) -> str:
        """How often normal footage is as high, in words; empty where nobody knows."""
        if self.once_in_hours is None:
            return ""
        hours = hours_in_words(self.once_in_hours)
        return f"not once in {hours} of normal footage" if self.is_at_least else f"once in {hours} of normal footage"

    def as_json(self) -> dict[str, Any]:
        """For files."""
        return {
            "value": self.value,
            "word": self.word,
            "relative_to": self.relative_to,
            "once_in_hours": self.once_in_hours,
            "at_least": self.is_at_least,
            "words": self.words,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> AlarmLevel:
        """What `as_json` made, of a shape that was checked."""
        names = ("value", "word", "relative_to", "once_in_hours")
        return cls(**{name: values[name] for name in names}, is_at_least=values["at_least"])


@dataclass(frozen=True, kw_only=True)
class LevelScale:
    """Turns scores into levels. Two scores hold it: `ordinary` is level 0, `alarm` level 5."""

    ordinary: float
    alarm: float
    relative_to: RelativeTo
    threshold: float = math.inf
    """From which on a calibration counted events."""
    peaks: tuple[float, ...] = ()
    """The highest score of each event in normal footage, increasing; of very many, of the highest."""
    events: int = 0
    """How many there were; those without a peak here were no higher than the first."""
    hours: float | None = None
    """Of that footage; None: there was none."""

    def level(self, score: float) -> AlarmLevel:
        """Of one score."""
        place = AT_THRESHOLD * (log_odds_of(score) - self.low) / self.rise
        value = int(min(max(math.floor(place + 1e-9), 0), HIGHEST))
        if score < self.threshold < math.inf:  # both may lie beyond what log odds are taken of
            value = min(value, AT_THRESHOLD - 1)
            value = 0 if score <= self.ordinary else value
        often, is_at_least = self._how_often(score)
        return AlarmLevel(
            value=value,
            word=word_of(value, self.relative_to),
            relative_to=self.relative_to,
            once_in_hours=often,
            is_at_least=is_at_least,
        )

    @property
    def low(self) -> float:
        """Log odds of level 0; where the threshold of a calibration lies lower, under that."""
        ordinary = log_odds_of(self.ordinary)
        is_calibrated = self.relative_to == "normal footage"
        return min(ordinary, log_odds_of(self.alarm) - LEAST_RISE) if is_calibrated else ordinary

    @property
    def rise(self) -> float:
        """Log odds from level 0 to level 5."""
        return max(log_odds_of(self.alarm) - self.low, LEAST_RISE)

    def _how_often(self, score: float) -> tuple[float | None, bool]:
        if self.hours is None or score < self.threshold:
            return None, False
        as_high = len(self.peaks) - bisect.bisect_left(self.peaks, score)
        if as_high == len(self.peaks):
            as_high = max(as_high, self.events)
        return self.hours / max(1, as_high), not as_high


def word_of(value: int, relative_to: RelativeTo) -> Word:
    """Only a calibration knows what an alarm is."""
    is_known = relative_to == "normal footage"
    if value >= AT_THRESHOLD:
        return "alarm" if is_known else "very unusual"
    if value >= VERY_FROM and is_known:
        return "very unusual"
    return "unusual" if value >= UNUSUAL_FROM else "ordinary"


def calibrated_scale(calibration: Calibration | None) -> LevelScale | None:
    """The scale of a calibration; None where there is none, or one of before scales, which must be made again."""
    if calibration is None or calibration.ordinary is None:
        return None
    return LevelScale(
        ordinary=calibration.ordinary,
        alarm=calibration.rule.threshold,
        relative_to="normal footage",
        threshold=calibration.rule.threshold,
        peaks=calibration.peaks,
        events=calibration.events,
        hours=calibration.hours,
    )


def own_scale(scores: NDArray[np.float64], release: float = math.inf) -> LevelScale:
    """A video's scale from its own scores (S,), S at least 1: around their median in log odds.

    Scores that keep an event going, at or over `release`, do not say what is ordinary, unless there are no others.
    """
    ordinary = scores[scores < release] if (scores < release).any() else scores
    odds = log_odds(ordinary.astype(np.float64), EDGE)
    middle = float(np.median(odds))
    return scale_around(middle, float(np.median(np.abs(odds - middle))), "this video")


def scale_around(middle: float, deviation: float, relative_to: RelativeTo) -> LevelScale:
    """The scale of scores whose median is `middle` and whose median absolute deviation is that, in log odds."""
    alarm = middle + max(DEVIATIONS * NORMAL_DEVIATIONS * deviation, LEAST_RISE)
    return LevelScale(ordinary=_score_of(middle), alarm=_score_of(alarm), relative_to=relative_to)


def scale_of(calibrated: LevelScale | None, scores: NDArray[np.float64], release: float = math.inf) -> LevelScale:
    """The calibration's scale where there is one, else the video's own."""
    return own_scale(scores, release) if calibrated is None else calibrated


def describe_scale(calibrated: LevelScale | None) -> str:
    """What levels mean here, in a line."""
    if calibrated is None:
        return (
            "alarm levels: not calibrated, so relative to each video's own scores outside events: 0 is their middle, 5 "
            "far above it; scripts/calibrate.py makes them mean something"
        )
    return "alarm levels: 0 is ordinary in your normal footage, 5 the calibrated threshold, 10 twice as far above"


def log_odds_of(score: float) -> float:
    """Log odds of one score; those at and beyond 0 and 1 as if just inside."""
    return float(log_odds(np.float64(score), EDGE))


def _score_of(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))


def hours_in_words(hours: float) -> str:
    """Two digits: 40 s, 12 min, 9.2 h, 120 h, 21 days."""
    for unit, per_hour, from_hours in (("days", 1 / 24, 240.0), ("h", 1.0, 1.0), ("min", 60.0, 1 / 60)):
        if hours >= from_hours:
            return f"{_two_digits(hours * per_hour)} {unit}"
    return f"{_two_digits(hours * 3600)} s"


def _two_digits(value: float) -> str:
    if value >= 10:
        digits = max(0, math.floor(math.log10(value)) - 1)
        return f"{round(value / 10**digits) * 10**digits:.0f}"
    return f"{value:.2g}"
