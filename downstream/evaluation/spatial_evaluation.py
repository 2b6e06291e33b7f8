"""All figures of one detector of cells against annotated boxes: values, deviations over seeds, intervals over videos.

Figures and their rules: `measures`, `truth`. Seeds, intervals and paired comparisons: as in `evaluation.evaluate`.

    evaluation = evaluate_localisation({"0": scores}, {"0": boxes}, catalogue.subset("test"))
    evaluation.measures["pointing"].value
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downstream.evaluation.bootstrap import draw_weights
from downstream.evaluation.evaluate import Difference, Measure, differences, measure_of
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.spatial_metrics import LocalisationSettings as LocalisationSettings
from downstream.evaluation.spatial_metrics import Predicted, localisation_metrics
from downstream.evaluation.spatial_truth import LocatedVideo, locate
from downstream.scores.score_file import VideoScores
from pretrain.data.catalogue import Video
from pretrain.errors import UserError, problem_list


@dataclass(frozen=True, eq=False)
class LocalisationEvaluation:
    """What one method reached on one test set."""

    method: str
    seeds: tuple[str, ...]
    settings: LocalisationSettings
    measures: Mapping[str, Measure]
    """Names and meanings: `measures.MEASURES`."""
    names: tuple[str, ...]
    """The videos, in the catalogue's order."""
    counts: Mapping[str, int]
    """Of the test set: videos, abnormal_videos, boxed_videos, frames, annotated_frames, unknown_frames, boxes."""
    samples: Mapping[str, NDArray[np.float64]]
    """Figure -> (seeds, resamples): its value in every draw of videos."""

    def as_json(self) -> dict[str, Any]:
        """For a JSON file; None stands for what is not defined."""
        return {
            "method": self.method,
            "seeds": list(self.seeds),
            "test_set": dict(self.counts),
            "settings": dataclasses.asdict(self.settings),
            "metrics": {name: measure.as_json() for name, measure in self.measures.items()},
        }


def evaluate_localisation(
    scores: Mapping[str, Sequence[VideoScores]],
    predicted: Mapping[str, Mapping[str, Predicted]],
    videos: Sequence[Video],
    settings: LocalisationSettings | None = None,
    method: str = "scores",
) -> LocalisationEvaluation:
    """Evaluate one method from the score maps and the boxes of its seeds, on exactly these videos.

    `scores`: seed -> videos with maps; `predicted`: seed -> video -> a list of boxes for every snippet, best first.
    Raises UserError as `locate`, and where boxes are not of the same seeds, videos and snippets as the scores.
    """
    settings = settings or LocalisationSettings()
    if not scores or scores.keys() != predicted.keys():
        raise UserError(f"{method}: scores of the seeds {list(scores)}, boxes of {list(predicted)}; give the same")
    located = {}
    for seed, entries in scores.items():
        try:
            located[seed] = locate(entries, videos, settings.tail)
            _check_boxes(located[seed], predicted[seed])
        except UserError as error:
            raise UserError(f"{method}, seed {seed}: {error}") from error
    first = next(iter(located.values()))
    labels = [video.label for video in first]
    draws = draw_weights(labels, settings.resamples, np.random.default_rng(settings.seed))
    weights = np.concatenate([np.ones((1, len(labels))), draws])
    tables = [
        localisation_metrics(entries, [predicted[seed][video.name] for video in entries], settings, weights)
        for seed, entries in located.items()
    ]
    stacked = {name: np.stack([table[name] for table in tables]) for name in tables[0]}
    bootstrap = EvaluationSettings(resamples=settings.resamples, confidence=settings.confidence)
    return LocalisationEvaluation(
        method=method,
        seeds=tuple(scores),
        settings=settings,
        measures={name: measure_of(table, bootstrap) for name, table in stacked.items()},
        names=tuple(video.name for video in first),
        counts=_counts(first),
        samples={name: table[:, 1:] for name, table in stacked.items()},
    )


def compare_localisation(first: LocalisationEvaluation, second: LocalisationEvaluation) -> dict[str, Difference]:
    """Figure -> `second` less `first`, on the same draws of the same videos. UserError where those differ."""
    return differences(first, second, first.names == second.names and first.settings == second.settings)


def _check_boxes(videos: Sequence[LocatedVideo], predicted: Mapping[str, Predicted]) -> None:
    problems = [
        f"'{video.name}': boxes of {len(predicted[video.name])} snippets, scores of {len(video.scores)}"
        if video.name in predicted
        else f"'{video.name}': scores, but no list of predicted boxes (an empty list for every snippet without one)"
        for video in videos
        if len(predicted.get(video.name, ())) != len(video.scores)
    ]
    if problems:
        raise UserError(f"{len(problems)} problem(s) between score maps and predicted boxes:\n{problem_list(problems)}")


def _counts(videos: Sequence[LocatedVideo]) -> dict[str, int]:
    return {
        "videos": len(videos),
        "abnormal_videos": sum(video.label == 1 for video in videos),
        "boxed_videos": sum(bool(video.annotated) for video in videos),
        "frames": sum(video.frames for video in videos),
        "annotated_frames": sum(len(video.annotated) for video in videos),
        "unknown_frames": sum(video.unknown_frames for video in videos),
        "boxes": sum(len(frame.boxes) for video in videos for frame in video.annotated),
    }
