"""What a report takes from the folder of a fine-tuning run: scores, threshold, metrics, facts, films."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from downstream.detector.storage import CARD_FILE
from downstream.evaluation.metrics import METRICS, metric_of, title_of
from downstream.evaluation.output import SCORES, read_method
from downstream.events.default_rule import own_rule
from downstream.events.rule import AlarmRule
from downstream.localisation.localise import TEST as MAPS
from downstream.report.content import Metric
from downstream.scores.ensemble import together
from downstream.scores.map_file import read_maps
from downstream.scores.score_file import ScoreFile
from pretrain.errors import UserError


class RunScores(NamedTuple):
    """What the report shows of the detectors of a run."""

    file: ScoreFile
    seeds: tuple[str, ...]
    """Whose scores these are."""
    note: str
    """How they were chosen; empty where there was nothing to choose."""


def read_run(run: Path) -> RunScores:
    """Test scores of a run, with maps where its detectors score cells. UserError where it is no finished run."""
    files = read_method(run)
    folders = {seed: run / f"seed-{seed}" for seed in files}
    if (run / SCORES).is_file():  # one seed's own folder
        folders = dict.fromkeys(files, run)
    if all((folder / MAPS).is_file() for folder in folders.values()):
        files = {seed: read_maps(folder / MAPS) for seed, folder in folders.items()}
    return combined(files)


def combined(files: Mapping[str, ScoreFile]) -> RunScores:
    """One set of scores out of those of all seeds: their mean in log odds."""
    note = f"Scores are the mean of {len(files)} detectors (seeds), in log odds." if len(files) > 1 else ""
    return RunScores(together(list(files.values())), tuple(files), note)


def run_rule(run: Path, scores: RunScores) -> tuple[AlarmRule, str]:
    """The rule that scripts/detect.py would take of these detectors, and where it comes from in words.

    UserError where a seed says no threshold.
    """
    thresholds, names = [], []
    for seed in scores.seeds:
        value = (_summary(run, seed).get("held_out") or {}).get("threshold")
        if not isinstance(value, int | float):
            raise UserError(f"{run} says no threshold of seed {seed}; train it again with scripts/finetune.py")
        thresholds.append(float(value))
        names.append(str(read_json(_seed_folder(run, seed) / "detector" / CARD_FILE).get("sha256")))
    return own_rule(run, thresholds, names)


def run_metrics(run: Path) -> tuple[Metric, ...]:
    """Metrics of evaluation/evaluation.json and localisation/localisation.json where they are; what matters most first.

    Those that need a threshold say which one the evaluation was asked for: it need not be the report's. UserError for
    metrics of another version.
    """
    when, settings = _values(run / "evaluation" / "evaluation.json")
    where, _ = _values(run / "localisation" / "localisation.json")
    ranked = list(METRICS)
    shown = []
    for name, value in (when | where).items():
        metric = metric_of(name)
        if metric.rank == "tables":
            continue
        at = f" (threshold {settings.get('threshold')})" if metric.at_threshold else ""
        place = ranked.index(metric.name) if metric.rank == "first" else len(ranked)
        shown.append((place, _metric(title_of(name) + at, value, metric.meaning)))
    return tuple(metric for _, metric in sorted(shown, key=itemgetter(0)))


def run_facts(run: Path, scores: RunScores) -> dict[str, str]:
    """The detector and what it stands on, as its card says."""
    seed = scores.seeds[0]
    card = read_json(_seed_folder(run, seed) / "detector" / CARD_FILE)
    facts = {"Run": run.resolve().name, "Seeds": ", ".join(scores.seeds)}
    features = card.get("features")
    kinds = features.get("kinds") if isinstance(features, dict) else None
    for kind in kinds if isinstance(kinds, Sequence) else ():
        encoder, weights = kind.get("encoder"), str(kind.get("weights_sha256") or "")[:12]
        facts["Features"] = f"{encoder}, weights {weights}" if weights else str(encoder)
        facts["Snippets"] = f"{kind.get('snippet_frames')} frames"
    if "sha256" in card:
        facts["Detector"] = f"weights {str(card['sha256'])[:12]}"
    for name, key in (("Trained on", "trained_on"), ("Chosen on", "selected_on")):
        if isinstance(card.get(key), list):
            facts[name] = f"{len(card[key])} videos"
    return facts


def films_of(run: Path) -> dict[str, Path]:
    """Video name, with `/` as `_`, -> its film in localisation/films."""
    films = sorted((run / "localisation" / "films").glob("*.mp4"))
    return {match[1]: film for film in films if (match := re.fullmatch(r"\d\d+-(.+)", film.stem))}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty where the file is not there. UserError where it is damaged."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path} ({error}); write it again, or remove it") from error
    return content if isinstance(content, dict) else {}


def _seed_folder(run: Path, seed: str) -> Path:
    return run if (run / SCORES).is_file() else run / f"seed-{seed}"


def _summary(run: Path, seed: str) -> dict[str, Any]:
    return read_json(_seed_folder(run, seed) / "summary.json")


def _values(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metrics and settings of the first method: the run itself."""
    methods = read_json(path).get("methods") or [{}]
    return methods[0].get("metrics") or {}, methods[0].get("settings") or {}


def _metric(title: str, value: Mapping[str, Any], meaning: str) -> Metric:
    mean = value.get("value")
    return Metric(
        name=title,
        value=math.nan if mean is None else float(mean),
        low=value.get("ci_low"),
        high=value.get("ci_high"),
        meaning=meaning,
    )
