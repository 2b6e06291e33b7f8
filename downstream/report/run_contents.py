"""What a report takes from the folder of a fine-tuning run: scores, threshold, metrics, facts, films."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from downstream.evaluation.metrics import METRICS, metric_of, title_of
from downstream.evaluation.operating_curve import CURVE, OperatingCurve, curve_of_json
from downstream.evaluation.output import FORMAT as FORMAT_OF_WHEN
from downstream.evaluation.output import evaluation_document
from downstream.evaluation.spatial_report import FORMAT as FORMAT_OF_WHERE
from downstream.events.alarm_level import LevelScale, calibrated_scale
from downstream.events.default_rule import calibration_of, default_rule
from downstream.events.rule import AlarmRule
from downstream.report.content import Metric
from downstream.runs.run_folder import RunFolder
from downstream.scores.ensemble import ensemble
from downstream.scores.score_file import ScoreFile
from downstream.scores.supervision import CEILING, supervision_in
from pretrain.errors import UserError
from pretrain.json_shapes import mapping, number, optional, record, sequence
from pretrain.reading import LIST_BYTES
from pretrain.versioned_json import read_versioned_json

_METRIC = record({}, {"value": optional(number()), "ci_low": optional(number()), "ci_high": optional(number())})
_METHOD = record({"metrics": mapping(_METRIC)}, {"settings": optional(mapping()), "operating_curve": optional(CURVE)})
_METRICS = record({"methods": sequence(_METHOD, 1)})
"""What is read of an evaluation."""


class RunScores(NamedTuple):
    """What the report shows of the detectors of a run."""

    file: ScoreFile
    seeds: tuple[str, ...]
    """Whose scores these are."""
    note: str
    """How they were chosen; empty where there was nothing to choose."""


def read_run(run: Path) -> RunScores:
    """Test scores of a run, with maps where its detectors score cells. UserError where it is no finished run."""
    return combined(RunFolder(run).test_maps())


def combined(files: Mapping[str, ScoreFile]) -> RunScores:
    """One set of scores out of those of all seeds: their mean in log odds."""
    note = f"Scores are the mean of {len(files)} detectors (seeds), in log odds." if len(files) > 1 else ""
    return RunScores(ensemble(list(files.values())), tuple(files), note)


def run_rule(run: Path) -> tuple[AlarmRule, str]:
    """The rule that scripts/detect.py would take of these detectors, and where it comes from in words.

    UserError where a seed says no threshold.
    """
    thresholds, names = [], []
    folder = RunFolder(run)
    for seed in folder.seeds():
        summary = seed.read_summary() if seed.is_done else {}
        value = (summary.get("validation") or {}).get("threshold")
        if not isinstance(value, int | float):
            raise UserError(f"{run} says no threshold of seed {seed.seed}; train it again with scripts/finetune.py")
        thresholds.append(float(value))
        names.append(str(seed.read_card().get("sha256")))
    label_free = all(supervision_in(seed.read_card()) == "none" for seed in folder.seeds())
    return default_rule(folder.calibration, thresholds, names, label_free)


def run_levels(run: Path) -> LevelScale | None:
    """What the run's calibration makes of scores; None where it has none, or it knows no levels."""
    folder = RunFolder(run)
    names = [str(seed.read_card().get("sha256")) for seed in folder.seeds()]
    return calibrated_scale(calibration_of(folder.calibration, names))


def run_metrics(run: Path) -> tuple[Metric, ...]:
    """Metrics of evaluation/evaluation.json and localisation/localisation.json where they are; what matters most first.

    Those that need a threshold say which one the evaluation was asked for: it need not be the report's. UserError for
    metrics of another version.
    """
    folder = RunFolder(run)
    first = _first_method(evaluation_document(folder.evaluation), FORMAT_OF_WHEN, "run scripts/evaluate.py again")
    when, settings = first.get("metrics", {}), first.get("settings") or {}
    first = _first_method(folder.localisation.document, FORMAT_OF_WHERE, "run scripts/localise.py again")
    where = first.get("metrics", {})
    ranked = list(METRICS)
    shown = []
    for name, value in (when | where).items():
        metric = metric_of(name)
        if metric.rank == "tables":
            continue
        at = f" (threshold {settings.get('threshold')})" if metric.at_threshold else ""
        place = ranked.index(metric.name) if metric.rank == "first" else len(ranked)
        shown.append((place, _metric(title_of(name) + at, value, metric.explanation)))
    return tuple(metric for _, metric in sorted(shown, key=itemgetter(0)))


def run_curve(run: Path) -> OperatingCurve | None:
    """Anomalies found over false alarms per hour, of evaluation/evaluation.json; None where it has none."""
    path = evaluation_document(RunFolder(run).evaluation)
    curve = _first_method(path, FORMAT_OF_WHEN, "run scripts/evaluate.py again").get("operating_curve")
    return None if curve is None else curve_of_json(curve)


def run_facts(run: Path, scores: RunScores) -> dict[str, str]:
    """The detector and what it stands on, as its card says."""
    card = RunFolder(run).seeds()[0].read_card()
    facts = {"Run": run.resolve().name, "Seeds": ", ".join(scores.seeds)}
    if supervision_in(card) == "frames":
        facts["Run"] += f" {CEILING}"
    features = card.get("features")
    specs = features.get("specs") if isinstance(features, dict) else None
    for spec in specs if isinstance(specs, Sequence) else ():
        encoder, weights = spec.get("encoder"), str(spec.get("weights_sha256") or "")[:12]
        facts["Features"] = f"{encoder}, weights {weights}" if weights else str(encoder)
        facts["Snippets"] = f"{spec.get('snippet_frames')} frames"
    if "sha256" in card:
        facts["Detector"] = f"weights {str(card['sha256'])[:12]}"
    for name, key in (("Trained on", "trained_on"), ("Chosen on", "selected_on")):
        if isinstance(card.get(key), list):
            facts[name] = f"{len(card[key])} videos"
    return facts


def _first_method(path: Path, form: str, mend: str) -> dict[str, Any]:
    """What an evaluation says of its first method, the run itself; nothing where the file is not there."""
    if not path.is_file():
        return {}
    return dict(read_versioned_json(path, "the metrics", form, mend, _METRICS, LIST_BYTES)["methods"][0])


def _metric(title: str, value: Mapping[str, Any], meaning: str) -> Metric:
    mean = value.get("value")
    return Metric(
        name=title,
        value=math.nan if mean is None else float(mean),
        low=value.get("ci_low"),
        high=value.get("ci_high"),
        meaning=meaning,
    )
