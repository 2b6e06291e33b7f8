"""The rule for events that a run or a package brings with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from downstream.events.calibration_file import Calibration, read_calibration
from downstream.events.rule import MARGIN, MERGE_SECONDS, MIN_SECONDS, AlarmRule, rule_with_margin
from downstream.scores.ensemble import identity_of, mean_scores
from pretrain.errors import UserError


def calibration_of(
    file: Path | None, names: Sequence[str], weights: Sequence[float] | None = None
) -> Calibration | None:
    """The calibration in `file`, if there is one. UserError: it is damaged, or of other detectors than those of these
    SHA-256, counting so."""
    if file is None or not file.is_file():
        return None
    calibration = read_calibration(file)
    if not calibration.is_of(identity_of(names, weights)):
        raise UserError(
            f"{file} is of other detectors than those in {file.parent}: calibrate again with scripts/calibrate.py, "
            "or delete it"
        )
    return calibration


def default_rule(
    file: Path | None,
    thresholds: Sequence[float],
    names: Sequence[str],
    label_free: bool = False,
    weights: Sequence[float] | None = None,
) -> tuple[AlarmRule, str]:
    """The rule and where it comes from: the calibration in `file`, else the detectors' thresholds, their mean in log
    odds as the scores are: those of validation videos.

    `names`: SHA-256 of the detectors; `label_free`: none of them was trained on labels; `weights`: as those of scores.
    UserError: a calibration that is damaged, or of other detectors.
    """
    calibration = calibration_of(file, names, weights)
    if calibration is not None:
        words = f"{calibration.events} event(s) in {calibration.hours:.3g} hours of normal footage"
        return calibration.rule, f"calibrated: {words}, at most {calibration.wanted_per_hour:g} an hour were wanted"
    threshold = float(mean_scores([np.array([value]) for value in thresholds], weights)[0])
    what = "parts the validation videos best"
    if label_free:
        what = "one in a hundred snippets of the footage it was fitted to"
    if len(thresholds) > 1:
        what = f"{what}, on average over {len(thresholds)} detectors"
    words = f"not calibrated: {what}; scripts/calibrate.py finds one for your cameras"
    return rule_with_margin(threshold, MARGIN, MIN_SECONDS, MERGE_SECONDS), words
