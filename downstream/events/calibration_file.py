"""What a calibration found out, and the file that it is kept in: JSON beside the detector that it is of.

{"format": "anomaly-pretext/calibration/1", "rule": {"threshold": 0.93, "release": 0.83, "min_seconds": 2.0,
 "merge_seconds": 10.0}, "wanted_per_hour": 0.5, "margin": 1.0, "events": 60, "hours": 120.4, "videos": 8,
 "left_out": {...}, "detector": {...}, "notes": [...], "ordinary": 0.04, "peaks": [0.931, ...], "per_hour": 0.498,
 "upper_95_per_hour": 0.618}
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from downstream.events.rate_bound import upper_rate
from downstream.events.rule import AlarmRule
from pretrain.errors import UserError, problem_list
from pretrain.files import write_json
from pretrain.versioned_json import read_versioned_json

FORMAT = "anomaly-pretext/calibration/1"


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """False alarms on videos with a threshold that was made of the others: each video, or group, in its turn."""

    folds: int
    events: int
    hours: float
    lowest_threshold: float
    highest_threshold: float
    """Of the folds: how much the threshold hangs on which footage there is."""

    @property
    def per_hour(self) -> float:
        """False alarms an hour."""
        return self.events / self.hours


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A rule for events, and what is known of its false alarms."""

    rule: AlarmRule
    wanted_per_hour: float
    margin: float
    """Log odds by which `rule.release` lies below its threshold."""
    events: int
    """False alarms of the rule in the footage that it was made of."""
    hours: float
    """Of that footage."""
    videos: int
    left_out: LeftOut | None = None
    """None for a single video or group."""
    detector: Mapping[str, Any] = field(default_factory=dict)
    """What scored the footage: whatever tells it from other detectors."""
    notes: tuple[str, ...] = ()
    """What a reader has to know: sentences."""
    ordinary: float | None = None
    """The median score of that footage; None in files of before alarm levels."""
    peaks: tuple[float, ...] = ()
    """The highest score of each of the events, increasing; of very many, of the highest."""

    def is_of(self, identity: Mapping[str, Any]) -> bool:
        """Whether it is of these detectors (`downstream.scores.ensemble.identity_of`), as far as it says of which."""
        said = self.detector
        return "sha256" not in said or all(said.get(key) == identity.get(key) for key in ("sha256", "weights"))

    @property
    def per_hour(self) -> float:
        """False alarms an hour in the footage that the rule was made of."""
        return self.events / self.hours

    @property
    def upper_per_hour(self) -> float:
        """95 % sure the rate is not above this: for alarms that come independently, in hours like these."""
        return upper_rate(self.events, self.hours)

    def as_json(self) -> dict[str, Any]:
        """For files; the rates follow from events and hours, and are not read back."""
        content = {"format": FORMAT} | dataclasses.asdict(self) | {"notes": list(self.notes), "peaks": list(self.peaks)}
        content["detector"] = dict(self.detector)
        if self.left_out is not None:
            content["left_out"]["per_hour"] = self.left_out.per_hour
        return content | {"per_hour": self.per_hour, "upper_95_per_hour": self.upper_per_hour}


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write it atomically as JSON."""
    write_json(path, calibration.as_json())


def read_calibration(path: Path) -> Calibration:
    """Read a file of `write_calibration`. UserError: no such file, or everything that is wrong with it."""
    content = read_versioned_json(path, "the calibration", FORMAT, "calibrate again")
    problems: list[str] = []
    values = _taken(content, _CALIBRATION, "", problems)
    rule = _taken(content.get("rule"), _RULE, "rule", problems)
    values |= _taken({name: content.get(name, default) for name, default in _LATER.items()}, _LEVELS, "", problems)
    left_out = content.get("left_out")
    others = None if left_out is None else _taken(left_out, _LEFT_OUT, "left_out", problems)
    if problems:
        listed = problem_list(problems)
        raise UserError(f"{len(problems)} problem(s) in the calibration {path}; calibrate again:\n{listed}")
    values |= {"rule": AlarmRule(**rule), "notes": tuple(values["notes"])}
    values["peaks"] = tuple(sorted(values["peaks"]))
    return Calibration(**values, left_out=None if others is None else LeftOut(**others))


class _Kind(NamedTuple):
    fits: Callable[[Any], bool]
    name: str


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


_NUMBER = _Kind(_is_number, "a number")
_AT_LEAST_0 = _Kind(lambda value: _is_number(value) and value >= 0, "a number, 0 or more")
_ABOVE_0 = _Kind(lambda value: _is_number(value) and value > 0, "a number above 0")
_COUNT = _Kind(lambda value: type(value) is int and value >= 0, "a whole number, 0 or more")
_MAPPING = _Kind(lambda value: isinstance(value, dict), "a JSON object")
_SENTENCES = _Kind(lambda value: isinstance(value, list) and all(isinstance(v, str) for v in value), "a list of texts")
_CALIBRATION = {
    "wanted_per_hour": _ABOVE_0,
    "margin": _AT_LEAST_0,
    "events": _COUNT,
    "hours": _ABOVE_0,
    "videos": _COUNT,
    "detector": _MAPPING,
    "notes": _SENTENCES,
}
_LEVELS = {
    "ordinary": _Kind(lambda value: value is None or _is_number(value), "a number or null"),
    "peaks": _Kind(lambda value: isinstance(value, list) and all(map(_is_number, value)), "a list of numbers"),
}
_LATER: dict[str, Any] = {"ordinary": None, "peaks": []}
"""What files of before alarm levels lack."""
_RULE = {"threshold": _NUMBER, "release": _NUMBER, "min_seconds": _AT_LEAST_0, "merge_seconds": _AT_LEAST_0}
_LEFT_OUT = {
    "folds": _COUNT,
    "events": _COUNT,
    "hours": _ABOVE_0,
    "lowest_threshold": _NUMBER,
    "highest_threshold": _NUMBER,
}


def _taken(content: Any, kinds: Mapping[str, _Kind], where: str, problems: list[str]) -> dict[str, Any]:
    """These fields of a JSON object; what is wrong with them joins `problems`."""
    if not _MAPPING.fits(content):
        problems.append(f"{where} is {content!r}; it must be {_MAPPING.name}")
        return {}
    for name, kind in kinds.items():
        if not kind.fits(content.get(name)):
            problems.append(f"{where}{'.' * bool(where)}{name} is {content.get(name)!r}; it must be {kind.name}")
    return {name: content.get(name) for name in kinds}
