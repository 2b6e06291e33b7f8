"""Evaluate score files or fine-tuning runs against the ground truth of a catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from downstream.analysis.evaluate_config import EvaluateConfig
from downstream.analysis.run_references import references_of, without_references
from downstream.evaluation.choose_videos import exclude_training_groups, open_listed
from downstream.evaluation.evaluation import Difference, Evaluation, compare
from downstream.evaluation.output import write_evaluation
from downstream.evaluation.references import References, evaluate_references, reference_report
from downstream.evaluation.tables import SUMMARY, comparison_table, cost_of_weak_labels, evaluation_table
from downstream.evaluation.temporal_evaluation import TemporalEvaluation, evaluate_seeds
from downstream.runs.run_folder import RunFolder, scores_by_seed, supervision_of
from downstream.scores.ensemble import ensemble, weights_of_runs
from downstream.scores.score_file import ScoreFile, unscored_in
from downstream.scores.supervision import Supervision, most_told
from downstream.scores.video_scores import VideoScores
from downstream.visualisation.operating_plot import plot_operating_curves
from downstream.visualisation.plots import write_plots
from pretrain.data.catalogue import Catalogue, CatalogueConfig
from pretrain.errors import UserError

Methods = dict[str, dict[str, ScoreFile]]
"""Method -> seed -> scores."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluatedRuns:
    """What `evaluate_runs` found, method by method."""

    evaluations: list[TemporalEvaluation]
    """In the order of the inputs."""
    comparisons: dict[str, dict[str, Difference]]
    """Each other method's name -> metric -> that method less the first, on the same draws of the same videos."""
    references: References
    """What needs no learning, evaluated alike; empty where no run has any."""
    told: dict[str, Supervision | None]
    """What each method was told in training."""
    notes: list[str]
    """What a reader has to know of the references."""

    def tables(self) -> str:
        """Everything for people, as Markdown."""
        shown = None if len(self.evaluations) == 1 else SUMMARY  # several methods at once: what matters most of each
        first = self.evaluations[0].method
        parts = [evaluation_table(evaluation, shown) for evaluation in self.evaluations]
        parts += [comparison_table(first, name, differences, shown) for name, differences in self.comparisons.items()]
        parts += ["\n".join(costs(self.evaluations, self.told))]
        parts += ["\n".join([reference_report(self.evaluations, self.references), *self.notes]).strip()]
        return "\n\n".join(filter(None, parts))


def evaluate_runs(config: EvaluateConfig) -> None:
    """Evaluate, print the tables, write the files."""
    evaluated = evaluate_and_write(config)
    print(evaluated.tables(), end="\n\n")
    print(f"written to {output_folder(config)}")


def evaluate_and_write(config: EvaluateConfig) -> EvaluatedRuns:
    """The same without a word."""
    evaluated, videos = evaluate_inputs(config)
    out = output_folder(config)
    write_evaluation(out, evaluated.evaluations, evaluated.comparisons, videos, evaluated.references.evaluations)
    if config.plots:
        write_plots(evaluated.evaluations, out)
        plot_operating_curves(evaluated.evaluations, out / "operating_curve.png")
    return evaluated


def evaluate_inputs(config: EvaluateConfig) -> tuple[EvaluatedRuns, Catalogue]:
    """Evaluate all inputs on the same videos; these videos."""
    inputs = dict(zip(method_names(config.inputs), config.inputs, strict=True))
    maps = config.ensemble or config.as_one
    methods = {name: scores_by_seed(path, maps=maps) for name, path in inputs.items()}
    told = {name: supervision_of(path, methods[name].values()) for name, path in inputs.items()}
    videos, methods = chosen_videos(config, methods)
    alone = methods
    if config.ensemble:
        methods = {name: {"ensemble": ensemble(list(seeds.values()))} for name, seeds in methods.items()}
    if config.as_one:
        name, file = as_one(alone)
        methods = {name: {"as one": file}, **methods}
        told[name] = most_told(said for said in told.values() if said is not None)
    # what one run could not score no other is evaluated on: comparisons are on the same videos
    unscored = unscored_in(file for seeds in methods.values() for file in seeds.values())
    evaluations = [
        evaluate_seeds(scores_of(seeds), videos, config.settings, name, unscored, ceiling=told[name] == "frames")
        for name, seeds in methods.items()
    ]
    references, notes = References([], []), []
    if config.references:
        references = evaluate_references(references_of(inputs), videos, config.settings, unscored)
        notes = without_references(inputs)
    evaluated = EvaluatedRuns(
        evaluations=evaluations,
        comparisons={rival.method: compare(evaluations[0], rival) for rival in evaluations[1:]},
        references=references,
        told=told,
        notes=notes,
    )
    return evaluated, videos


def as_one(methods: Methods) -> tuple[str, ScoreFile]:
    """All methods as one detector, as scripts/package.py makes one of several runs, and what that is called.

    See `downstream.scores.ensemble.weights_of_runs`. UserError: some score cells, and others whole pictures.
    """
    of_cells = {
        name: all(video.map is not None for file in seeds.values() for video in file.videos)
        for name, seeds in methods.items()
    }
    if len(set(of_cells.values())) > 1:
        cells, whole = (next(name for name, maps in of_cells.items() if maps is wanted) for wanted in (True, False))
        raise UserError(
            f"'{cells}' scores cells of the picture, and of '{whole}' scores of whole pictures alone are known: as one "
            "they are no detector. Give runs that score the same"
        )
    members = [(name, file) for name, seeds in methods.items() for file in seeds.values()]
    return " + ".join(methods), ensemble([file for _, file in members], weights_of_runs([name for name, _ in members]))


def chosen_videos(config: EvaluateConfig, methods: Methods) -> tuple[Catalogue, Methods]:
    """The videos to evaluate, and the scores of these; UserError where there are none, or training has seen some."""
    catalogue = open_listed(chosen_catalogue(config))
    videos = catalogue if config.split == "all" else catalogue.subset(config.split)
    if not videos:
        raise UserError(f"{catalogue.source}: no video of split '{config.split}'; choose another --split")
    for run in config.inputs if config.split == "test" else ():
        RunFolder(run).refuse_seen_in_training(videos)
    if others := {video.name for video in catalogue if video.split != config.split and config.split != "all"}:
        methods = scores_of_the_split(methods, others, config.split)
    return scores_in_unseen_groups(catalogue, videos, methods) if config.unseen_groups else (videos, methods)


def costs(evaluations: Sequence[Evaluation], told: Mapping[str, Supervision | None]) -> list[str]:
    """A line for each method trained on labels of videos, where exactly one of the others is a ceiling."""
    ceilings = [evaluation for evaluation in evaluations if evaluation.ceiling]
    weak = [evaluation for evaluation in evaluations if told[evaluation.method] == "videos"]
    return [cost_of_weak_labels(ceilings[0], each) for each in weak] if len(ceilings) == 1 else []


def chosen_catalogue(config: EvaluateConfig) -> CatalogueConfig:
    """The one given; else that of the first input that is a run."""
    runs = (RunFolder(path) for path in config.inputs)
    first = next((run for run in runs if run.config_file.is_file()), None)
    return config.catalogue if first is None else first.catalogue_unless(config.catalogue)


def scores_in_unseen_groups(catalogue: Catalogue, videos: Catalogue, methods: Methods) -> tuple[Catalogue, Methods]:
    """The videos whose group no training video has, and their scores; UserError where that leaves none."""
    left = exclude_training_groups(catalogue, videos)
    return left, without_scores_of(methods, {video.name for video in videos} - {video.name for video in left})


def scores_of_the_split(methods: Methods, others: AbstractSet[str], split: str) -> Methods:
    """The scores that are not of videos of another split: files may hold a whole set."""
    scored = {item.name for seeds in methods.values() for file in seeds.values() for item in file.videos}
    if not (found := scored & others):
        return methods
    print(f"{len(found)} of the {len(scored)} scored videos are not of split '{split}' and are left out (--split)\n")
    return without_scores_of(methods, found)


def without_scores_of(methods: Methods, names: AbstractSet[str]) -> Methods:
    """All but the scores of these videos."""
    return {
        name: {
            seed: file._replace(videos=[item for item in file.videos if item.name not in names])
            for seed, file in seeds.items()
        }
        for name, seeds in methods.items()
    }


def scores_of(seeds: Mapping[str, ScoreFile]) -> dict[str, list[VideoScores]]:
    """Seed -> scores."""
    return {seed: file.videos for seed, file in seeds.items()}


def method_names(inputs: Sequence[Path]) -> list[str]:
    """The last part of each path that tells it from the others."""
    whole = [path.resolve() for path in inputs]
    if len(set(whole)) < len(whole):
        raise UserError(f"one input stands twice: {', '.join(map(str, inputs))}; a method is given once")
    paths = [path.with_suffix("") if path.is_file() else path for path in whole]
    if len(set(paths)) < len(paths):  # alike but for their endings
        paths = whole
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names


def output_folder(config: EvaluateConfig) -> Path:
    """Where the files go."""
    return config.out or default_folder(config.inputs)


def default_folder(inputs: Sequence[Path]) -> Path:
    """Inside a single run, beside a score file or the first of several inputs.

    UserError: that folder is another run's own.
    """
    folder = RunFolder(inputs[0] if len(inputs) == 1 and inputs[0].is_dir() else inputs[0].parent)
    if len(inputs) > 1 and folder.config_file.exists():
        raise UserError(f"{folder.evaluation} is the evaluation of the run {folder.path} itself; say where with --out")
    return folder.evaluation
