"""The rule for events that a run or a package brings with it, and what a user changes of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from downstream.events.calibration import read_calibration
from downstream.events.rule import AlarmRule, rule_with_margin
from downstream.scores.ensemble import mean_scores
from pretrain.errors import UserError

MARGIN, MERGE_SECONDS = 1.0, 1.0
"""Of the rule where there is no calibration: log odds of hysteresis, and seconds between events that are one [ours]."""


@dataclass(frozen=True, kw_only=True)
class RuleChanges:
    """What is to be another than in the detector's own rule; None: nothing."""

    threshold: float | None = None
    """An event begins at a score of at least this. Default: the calibration's, else one from held-out training
    videos."""
    release: float | None = None
    """An event goes on while scores are at least this. Default: as far below the threshold, in log odds, as in the
    detector's own rule."""
    min_seconds: float | None = None
    """Shorter events are none. Default: the calibration's, else 0."""
    merge_seconds: float | None = None
    """Events at most so far apart are one. Default: the calibration's, else 1."""

    def applied_to(self, own: AlarmRule) -> AlarmRule:
        """The rule that is wanted; UserError where there can be none such."""
        changes = {name: value for name, value in vars(self).items() if value is not None}
        if self.threshold is not None and self.release is None:
            changes["release"] = own.moved_to(self.threshold).release
        return dataclasses.replace(own, **changes)


def own_rule(file: Path | None, thresholds: Sequence[float], names: Sequence[str]) -> tuple[AlarmRule, str]:
    """The rule and where it comes from: the calibration in `file`, else the detectors' thresholds, their mean in log
    odds as the scores are: those of held-out training videos.

    `names`: SHA-256 of the detectors. UserError: a calibration that is damaged, or of other detectors.
    """
    if file is not None and file.is_file():
        calibration = read_calibration(file)
        if list(calibration.detector.get("sha256", names)) != list(names):
            raise UserError(
                f"{file} is of other detectors than those beside it: calibrate again with scripts/calibrate.py, or "
                "delete it"
            )
        words = f"{calibration.events} event(s) in {calibration.hours:.3g} hours of normal footage"
        return calibration.rule, f"calibrated: {words}, at most {calibration.wanted_per_hour:g} an hour were wanted"
    threshold = float(mean_scores([np.array([value]) for value in thresholds])[0])
    words = "not calibrated: parts the held-out training videos best; scripts/calibrate.py finds one for your cameras"
    return rule_with_margin(threshold, MARGIN, 0.0, MERGE_SECONDS), words
