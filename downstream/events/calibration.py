"""A threshold from normal footage of one's own cameras, at a wanted number of false alarms an hour.

    calibration = calibrate(videos, per_hour=0.5, margin=1.0, min_seconds=2.0, merge_seconds=10.0)
    write_calibration(folder / "calibration.json", calibration)

Every event in footage without anything abnormal is a false alarm. The threshold is fitted to that footage, so its own
rate of false alarms flatters it; `Calibration.left_out` says what thresholds do on footage that they were not made of.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downstream.events.calibration_file import Calibration, LeftOut
from downstream.events.false_alarms import Footage, RuleAt, Turn
from downstream.events.finder import find_events
from downstream.events.rule import AlarmRule, rule_with_margin
from downstream.scores.video_scores import VideoScores
from pretrain.data.video import Clock
from pretrain.errors import UserError, problem_list

MAX_FOLDS = 20
KEPT_PEAKS = 1000
_LONG_SHARE = 0.1
Videos = Sequence[tuple[VideoScores, Clock | float]]
"""Scores of each video and its clock, or frames per second."""


def calibrate(
    videos: Videos,
    per_hour: float,
    *,
    margin: float,
    min_seconds: float,
    merge_seconds: float,
    detector: Mapping[str, Any] | None = None,
    groups: Sequence[Hashable] | None = None,
) -> Calibration:
    """The lowest score as threshold at which, and at every higher one, events are at most `per_hour` an hour.

    Events: `find_events` with `rule_with_margin(threshold, margin, min_seconds, merge_seconds)`. "Every higher one",
    because a lower threshold can have fewer events, all run together. `groups`: the camera, say, of each video; groups
    instead of videos are left out in turn then. UserError: no footage, or settings that mean nothing, all at once.
    """
    _refuse(videos, per_hour, margin, min_seconds, merge_seconds)
    rule_at = partial(rule_with_margin, margin=margin, min_seconds=min_seconds, merge_seconds=merge_seconds)
    footage = Footage(videos)
    rule, left_out = _thresholds(footage, range(len(videos)) if groups is None else groups, per_hour, rule_at)
    found = footage.find(rule, np.ones(len(videos), np.bool_))
    calibration = Calibration(
        rule=rule,
        wanted_per_hour=per_hour,
        margin=margin,
        events=found.events,
        hours=float(footage.seconds.sum()) / 3600,
        videos=len(videos),
        left_out=left_out,
        detector=dict(detector or {}),
        ordinary=float(np.median(np.concatenate([scores.scores for scores, _ in videos]))),
        peaks=_peaks(videos, rule),
    )
    return dataclasses.replace(calibration, notes=tuple(_notes(calibration, footage, found.seconds)))


def _peaks(videos: Videos, rule: AlarmRule) -> tuple[float, ...]:
    """The highest score of each event of the rule, increasing; at most `KEPT_PEAKS` of the highest."""
    loud = [(scores, clock) for scores, clock in videos if scores.scores.max() >= rule.threshold]
    found = [event.peak_score for scores, clock in loud for event in find_events(scores, rule, clock)]
    return tuple(sorted(found)[-KEPT_PEAKS:])


def allowed_events(per_hour: float, hours: float) -> int:
    """How many events so many hours may have: 3 in 30 hours at 0.1 an hour, whatever the last bit of it says."""
    return math.floor(per_hour * hours * (1 + 1e-9))


def _thresholds(
    footage: Footage, groups: Sequence[Hashable], per_hour: float, rule_at: RuleAt
) -> tuple[AlarmRule, LeftOut | None]:
    """The rule of all footage; and what rules of all but each group in turn do on that group.

    More than `MAX_FOLDS` groups share turns. None for a single group.
    """
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    folds = min(len(numbers), MAX_FOLDS)
    fold_of = np.array([numbers[group] % folds for group in groups])
    turns: dict[Turn, NDArray[np.bool_]] = {None: fold_of >= 0}
    if folds > 1:
        turns |= {fold: fold_of != fold for fold in range(folds)}
    hours = {turn: float(footage.seconds[part].sum()) / 3600 for turn, part in turns.items()}
    allowed = {turn: allowed_events(per_hour, each) for turn, each in hours.items()}
    thresholds = footage.lowest_thresholds(rule_at, fold_of.tolist(), allowed)
    own = rule_at(thresholds.pop(None))
    if not thresholds:
        return own, None
    found = [footage.find(rule_at(threshold), ~turns[turn]) for turn, threshold in thresholds.items()]
    return own, LeftOut(
        folds=folds,
        events=sum(each.events for each in found),
        hours=hours[None],
        lowest_threshold=min(thresholds.values()),
        highest_threshold=max(thresholds.values()),
    )


def setting_problems(per_hour: float, margin: float, min_seconds: float, merge_seconds: float) -> list[str]:
    """What is wrong with the settings of a calibration, each in words: known before any footage is scored."""
    problems = []
    if not 0 < per_hour < math.inf:
        problems.append(f"per_hour is {per_hour}; it must be a number above 0, for example 0.1")
    for name, value in (("margin", margin), ("min_seconds", min_seconds), ("merge_seconds", merge_seconds)):
        if not 0 <= value < math.inf:
            problems.append(f"{name} is {value}; it must be a number, 0 or more")
    return problems


def _refuse(videos: Videos, per_hour: float, margin: float, min_seconds: float, merge_seconds: float) -> None:
    problems = [] if videos else ["there is no footage; give videos of the cameras in which nothing abnormal happens"]
    problems += setting_problems(per_hour, margin, min_seconds, merge_seconds)
    problems += [
        f"'{scores.name}': {fps} frames per second; it must be above 0, say how many the video has"
        for scores, fps in videos
        if isinstance(fps, int | float) and not 0 < fps < math.inf
    ]
    if problems:
        raise UserError(f"no threshold can be calibrated:\n{problem_list(problems)}")


def _notes(found: Calibration, footage: Footage, seconds: float) -> list[str]:
    notes, threshold, hours = [], found.rule.threshold, found.hours
    if allowed_events(found.wanted_per_hour, hours) < 1:
        notes.append(
            f"{hours:.3g} hours of footage cannot show {found.wanted_per_hour:g} false alarms an hour: that takes at "
            f"least {1 / found.wanted_per_hour:.3g} hours. The threshold lies above everything in them; no alarm in so "
            f"few hours says, 95 % sure, only that there are fewer than {found.upper_per_hour:.3g} an hour (3 / hours)."
        )
    lowest, highest = footage.range
    if threshold >= 1 and lowest >= 0 and highest <= 1:
        reached = "only a score of exactly 1 reaches it" if threshold == 1 else "no score reaches it"
        notes.append(
            f"The threshold is {threshold:.17g} and scores lie in [0, 1]: {reached}, so there may never be an alarm. "
            "Look at the footage that scores highest, allow more false alarms an hour, or train a detector that is "
            "less sure of normal footage."
        )
    if seconds > _LONG_SHARE * hours * 3600:
        notes.append(
            f"Events take {100 * seconds / hours / 3600:.0f} % of this normal footage: few, because they are long. "
            "Scores that lie within --margin of the threshold are of the same event: give a smaller one, or ask for "
            "fewer an hour."
        )
    if found.left_out is None:
        notes.append("With a single video or group nobody knows how the threshold does on other footage.")
    return notes
