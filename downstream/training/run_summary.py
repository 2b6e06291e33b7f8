"""What a finished run reached, in its folder: the evaluation of all seeds on the test videos, and the summary."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from downstream.evaluation.choose_videos import has_ground_truth, missing_ground_truth
from downstream.evaluation.output import write_evaluation
from downstream.evaluation.references import (
    References,
    best_references,
    evaluate_references,
    over_references,
    reference_report,
)
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.tables import SUMMARY, evaluation_table
from downstream.evaluation.temporal_evaluation import TemporalEvaluation, evaluate_seeds
from downstream.runs.run_folder import RunFolder
from downstream.scores.score_file import unscored_in
from downstream.visualisation.operating_plot import plot_operating_curves
from downstream.visualisation.plots import write_plots
from pretrain.data.catalogue import Catalogue
from pretrain.errors import problem_list


class RunSummary(NamedTuple):
    """What there is to tell of it."""

    evaluation: TemporalEvaluation | None
    """None where test videos were not scored, or have no ground truth."""
    unscored: dict[str, str]
    """Test videos that could not be read or have no features, and why."""
    references: References = References([], [])
    """What needs no learning, on the same videos."""


class SummaryConfig(Protocol):
    """What of a run's settings its summary needs."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of its detectors."""

    @property
    def score_test(self) -> bool:
        """Whether the test videos were scored."""

    @property
    def plots(self) -> bool:
        """Whether curves are drawn."""

    @property
    def references(self) -> bool:
        """Whether reference scores stand beside it."""

    @property
    def ceiling(self) -> bool:
        """Whether it was trained on labels of frames."""

    @property
    def evaluation(self) -> EvaluationSettings:
        """How test videos are evaluated."""


def summarise_run(
    run: RunFolder, config: SummaryConfig, test: Catalogue | None, name: str, references: References | None = None
) -> RunSummary:
    """Evaluate the scores of all seeds as the method `name`; write evaluation, plots, summary.

    `test`: the test videos, where they were scored. `references`: evaluated on them before; default: those that the
    run's folder holds, unless `config.references` is off. UserError as `evaluate_seeds`.
    """
    beside = references or References([], [])
    summary: dict[str, Any] = {"seeds": {str(seed): run.seed(seed).read_summary() for seed in config.seeds}}
    evaluation, unscored = None, {}
    if test:
        files = {str(seed): run.seed(seed).read_scores("test") for seed in config.seeds}
        unscored = unscored_in(files.values())
        if unscored:
            summary["unscored"] = unscored
        if has_ground_truth(test.without(set(unscored))):
            scores = {seed: file.videos for seed, file in files.items()}
            evaluation = evaluate_seeds(scores, test, config.evaluation, name, unscored, config.ceiling)
            if references is None and config.references:
                beside = evaluate_references(run.read_references(), test, config.evaluation, unscored)
            write_evaluation(run.evaluation, [evaluation], {}, test, beside.evaluations)
            if config.plots:
                write_plots([evaluation], run.evaluation)
                plot_operating_curves([evaluation], run.evaluation / "operating_curve.png")
            summary["test"] = evaluation.as_json()
            best = best_references(over_references([evaluation], beside.evaluations))
            summary["best_reference"] = [each.as_json() for each in best]
    run.write_summary(summary)
    return RunSummary(evaluation, unscored, beside)


def summarise(config: SummaryConfig, run: RunFolder, test: Catalogue) -> None:
    """Evaluate all seeds, write the summary, and say what came out and where everything lies."""
    evaluation, unscored, references = summarise_run(run, config, test if config.score_test else None, run.path.name)
    if unscored:
        reasons = problem_list([f"'{name}': {reason}" for name, reason in unscored.items()])
        print(f"{len(unscored)} of {len(test)} test video(s) have no scores:\n{reasons}")
    if evaluation:
        print(evaluation_table(evaluation, SUMMARY))
        if references.evaluations:
            print("", reference_report([evaluation], references), "", sep="\n")
        print(f"all figures and plots: {run.evaluation}")
    elif config.score_test and len(test):
        print(f"the test videos are scored, not evaluated: {missing_ground_truth(test.without(set(unscored)))}")
