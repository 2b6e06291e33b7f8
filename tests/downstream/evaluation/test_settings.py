from __future__ import annotations

import math

import pytest

from downstream.evaluation.settings import EvaluationSettings, LocalisationSettings
from downstream.events.rule import AlarmRule, rule_with_margin
from pretrain.errors import UserError


def test_settings_of_events_are_those_of_the_detector_s_own_rule() -> None:
    assert EvaluationSettings(threshold=0.9).rule() == rule_with_margin(0.9, 2.0, 0.0, 1.0)
    own = EvaluationSettings(release=0.5, min_seconds=2, merge_seconds=3).rule()
    assert own == AlarmRule(threshold=0.5, release=0.5, min_seconds=2, merge_seconds=3)
    margins = [EvaluationSettings(threshold=0.9, release=release).margin for release in (None, 0.9, 0.5)]
    assert margins == pytest.approx([2.0, 0.0, math.log(9)])
    with pytest.raises(UserError, match=r"release is 0\.6, above threshold 0\.5"):
        EvaluationSettings(release=0.6)


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(UserError, match=r"iou is \(0, 0.5\); it must be overlaps above 0"):
        EvaluationSettings(iou=(0, 0.5))
    with pytest.raises(UserError, match=r"max_alarms_per_hour is \(6, -1\); it must be finite numbers, 0 or more"):
        EvaluationSettings(max_alarms_per_hour=(6, -1))
    with pytest.raises(UserError, match="merge_seconds is -1; it must be 0 or more, in seconds"):
        EvaluationSettings(merge_seconds=-1)


def test_settings_of_boxes_are_checked() -> None:
    for name, value, limit in (("tail", "hodl", "'hold'"), ("iou", (0.0,), "above 0"), ("confidence", 1.0, "between")):
        with pytest.raises(UserError, match=f"{name} is .*{limit}"):
            LocalisationSettings(**{name: value})
