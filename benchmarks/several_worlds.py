"""One method on several test sets, beside its references and another method: `python -m benchmarks.several_worlds`.

    python -m benchmarks.several_worlds w21/labels w22/labels w23/labels --less w21/random w22/random w23/random
    python -m benchmarks.several_worlds w21/labels w22/labels --as-one-with w21/student w22/student

Runs of scripts/finetune.py or fit_normal.py, one for each set; all seeds of a run are one detector. A single set is
kind or unkind by chance, and its own interval does not show which: so the figure is the mean over the sets. Videos are
drawn within each set, by generators of their own, and differences are paired. References are those in the first runs'
folders (references/). Ends with one line `RESULT {json}`.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from downstream.analysis.evaluate_runs import as_one
from downstream.comparison.tables import Table, aligned
from downstream.evaluation.bootstrap import interval
from downstream.evaluation.choose_videos import exclude_training_groups, open_listed
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.temporal_evaluation import TemporalEvaluation, evaluate
from downstream.evaluation.weighted_auc import Floats
from downstream.runs.run_folder import RunFolder, scores_by_seed
from downstream.scores.ensemble import ensemble
from downstream.scores.score_file import ScoreFile, read_scores
from pretrain.cli import parse, run_command
from pretrain.data.catalogue import Catalogue
from pretrain.errors import UserError

FIGURES = {"frame_auc": "frame AUC", "per_video_auc": "per-video AUC"}
Worlds = Sequence[TemporalEvaluation]
"""One method, on each set."""


@dataclass(frozen=True, kw_only=True)
class SeveralWorldsConfig:
    """The mean of one method over several test sets, with intervals, beside references and another method."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """A run for each set."""
    as_one_with: tuple[Path, ...] = ()
    """Runs of a second method on the same sets, in the same order: the method is both as one detector then, as
    scripts/package.py makes one of several runs, and each alone is a row of its own (first, second)."""
    less: tuple[Path, ...] = ()
    """Runs of another method on the same sets, in the same order."""
    unseen_groups: bool = True
    """Only videos of cameras (the catalogue's `group`) that no training video is of."""
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)

    def __post_init__(self) -> None:
        if len(self.runs) < 2:
            raise UserError(f"{len(self.runs)} run(s): give one for each of several sets (evaluate.py does one)")
        for word, others in (("less", self.less), ("as one with", self.as_one_with)):
            if others and len(others) != len(self.runs):
                raise UserError(f"{len(self.runs)} runs {word} {len(others)}: give one of each method for every set")


def several_worlds(config: SeveralWorldsConfig) -> None:
    """Evaluate, print the table and the RESULT line."""
    methods: dict[str, list[TemporalEvaluation]] = {}
    for number, run in enumerate(config.runs):
        catalogue = open_listed(RunFolder(run).catalogue())
        videos = catalogue.subset("test")
        second, other = (each[number] if each else None for each in (config.as_one_with, config.less))
        for seen in filter(None, (run, second, other)):
            RunFolder(seen).refuse_seen_in_training(videos)
        videos = exclude_training_groups(catalogue, videos) if config.unseen_groups else videos
        # the same draws in every set would tie sets together that have nothing to do with each other
        settings = dataclasses.replace(config.evaluation, seed=config.evaluation.seed + number, max_alarms_per_hour=())
        for name, file in scores_of(run, second, other).items():
            methods.setdefault(name, []).append(evaluated(file, videos, settings, name))
    missing = [name for name, worlds in methods.items() if len(worlds) < len(config.runs)]
    complete = {name: worlds for name, worlds in methods.items() if name not in missing}
    result = {key: figures_of(complete, key) for key in FIGURES}
    for key, title in FIGURES.items():
        print(aligned(table_of(result[key], title)), end="\n\n")
    if missing:
        print(f"not in every set, and left out: {', '.join(missing)}")
    print("RESULT " + json.dumps(result))


def scores_of(run: Path, second: Path | None, other: Path | None) -> dict[str, ScoreFile]:
    """Of one set: the method, the two that it is of, the other one, references."""
    if second is None:
        found = {"method": _of_all_seeds(run)}
    else:
        both = {"first": scores_by_seed(run, maps=True), "second": scores_by_seed(second, maps=True)}
        found = {"method": as_one(both)[1], "first": _of_all_seeds(run), "second": _of_all_seeds(second)}
    if other is not None:
        found["other"] = _of_all_seeds(other)
    return found | {file.stem: read_scores(file) for file in sorted((run / "references").glob("*.json"))}


def _of_all_seeds(run: Path) -> ScoreFile:
    return ensemble(list(scores_by_seed(run, maps=True).values()))


def evaluated(file: ScoreFile, videos: Catalogue, settings: EvaluationSettings, name: str) -> TemporalEvaluation:
    """Those of the videos that are to be looked at."""
    names = {video.name for video in videos}
    return evaluate([video for video in file.videos if video.name in names], list(videos), settings, name)


def figures_of(methods: Mapping[str, Worlds], key: str) -> dict[str, Any]:
    """Of each method the mean over sets with its interval, each set's, and what the method has more than it."""
    own = methods["method"]
    found = {}
    for name, worlds in methods.items():
        entry = {"value": value_of(worlds, key), "interval": interval(draws_of(worlds, key))}
        entry |= {"each": [world.metrics[key].value for world in worlds]}
        if name != "method":
            entry["method_less_it"] = value_of(own, key) - value_of(worlds, key)
            entry["method_less_it_interval"] = interval(draws_of(own, key) - draws_of(worlds, key))
        found[name] = entry
    return found


def value_of(worlds: Worlds, key: str) -> float:
    """The mean over sets."""
    return float(np.mean([world.metrics[key].value for world in worlds]))


def draws_of(worlds: Worlds, key: str) -> Floats:
    """(draws,): the mean over sets of each draw."""
    mean: Floats = np.mean([world.samples[key] for world in worlds], axis=0)
    return mean


def table_of(figures: Mapping[str, Any], title: str) -> Table:
    """The highest first."""
    rows = []
    for name, entry in sorted(figures.items(), key=lambda item: -item[1]["value"]):
        less = ["", ""]
        if name != "method":
            low, high = entry["method_less_it_interval"]
            less = [f"{entry['method_less_it']:+.3f}", f"{low:+.3f} to {high:+.3f}"]
        low, high = entry["interval"]
        each = " ".join(f"{value:.3f}" for value in entry["each"])
        rows.append([name, f"{entry['value']:.3f}", f"{low:.3f} to {high:.3f}", each, *less])
    return Table([title, "mean", "interval", "each", "method less it", "interval"], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    run_command(lambda: several_worlds(parse(SeveralWorldsConfig, given, "several_worlds")))


if __name__ == "__main__":
    main()
