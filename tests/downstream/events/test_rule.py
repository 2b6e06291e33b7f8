"""Which rules there are, and how one follows a moved threshold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from downstream.events.rule import MARGIN, AlarmRule, RuleChanges, release_below, rule_with_margin
from pretrain.errors import UserError


def test_the_release_is_below_the_threshold_in_odds() -> None:
    rule = rule_with_margin(0.9, float(np.log(9)), 0, 0)
    assert rule.release == pytest.approx(0.5)
    assert rule_with_margin(0.9, 0, 0, 0).release == 0.9
    assert rule_with_margin(1.5, 1, 0, 0).release == 1.5


def test_rules_that_cannot_be_are_refused_all_at_once() -> None:
    with pytest.raises(UserError) as caught:
        AlarmRule(threshold=0.5, release=0.6, min_seconds=-1, merge_seconds=float("inf"))
    text = str(caught.value)
    assert "release is 0.6, above threshold 0.5" in text
    assert "min_seconds is -1" in text
    assert "merge_seconds is inf" in text


def test_changes_move_the_release_with_the_threshold_and_keep_the_rest() -> None:
    own = rule_with_margin(0.9, 1.0, 2.0, 3.0)
    assert RuleChanges().applied_to(own) == own
    moved = RuleChanges(threshold=0.5).applied_to(own)
    assert (moved.threshold, moved.min_seconds, moved.merge_seconds) == (0.5, 2.0, 3.0)
    assert moved.margin == pytest.approx(1.0)
    changed = RuleChanges(threshold=0.5, release=0.5, min_seconds=0.0).applied_to(own)
    assert changed == AlarmRule(threshold=0.5, release=0.5, min_seconds=0.0, merge_seconds=3.0)


@pytest.mark.parametrize(("name", "value"), [("threshold", 2.0), ("release", -0.1), ("threshold", float("nan"))])
def test_no_score_reaches_what_lies_outside_0_to_1(name: str, value: float) -> None:
    with pytest.raises(UserError, match=f"^{name} is {value}; scores of detectors lie in 0 to 1"):
        RuleChanges(**{name: value})


def test_a_rule_at_1_has_the_usual_hysteresis_elsewhere() -> None:
    at_one = rule_with_margin(math.nextafter(1, 2), 2.0, 0, 1)
    assert RuleChanges(threshold=0.9).applied_to(at_one).release == release_below(0.9, MARGIN)
