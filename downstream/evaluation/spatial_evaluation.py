"""All metrics of one detector of cells against annotated boxes: values, deviations over seeds, intervals over videos.

evaluation = evaluate_localisation({"0": scores}, {"0": boxes}, catalogue.subset("test"))
evaluation.metrics["pointing"].value
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from downstream.evaluation.evaluation import Evaluation, check_seeds, values_over_seeds
from downstream.evaluation.metrics import compute_metrics
from downstream.evaluation.settings import LocalisationSettings
from downstream.evaluation.spatial_metrics import Predicted, WeightedMaps
from downstream.evaluation.spatial_truth import LocatedVideo, locate
from downstream.evaluation.weighted_auc import Floats, Values
from downstream.scores.video_scores import VideoScores
from pretrain.data.catalogue import Video
from pretrain.errors import UserError, problem_list


@dataclass(frozen=True, kw_only=True, eq=False)
class SpatialEvaluation(Evaluation):
    """What one method reached on the boxes of one test set; its videos are too large to keep."""

    settings: LocalisationSettings


def evaluate_localisation(
    scores: Mapping[str, Sequence[VideoScores]],
    predicted: Mapping[str, Mapping[str, Predicted]],
    videos: Sequence[Video],
    settings: LocalisationSettings | None = None,
    method: str = "scores",
) -> SpatialEvaluation:
    """Evaluate one method from the score maps and the boxes of its seeds, on exactly these videos.

    `scores`: seed -> videos with maps; `predicted`: seed -> video -> a list of boxes for every snippet, best first.
    Raises UserError as `locate`, and where boxes are not of the same seeds, videos and snippets as the scores.
    """
    settings = settings or LocalisationSettings()
    if not scores or scores.keys() != predicted.keys():
        raise UserError(f"{method}: scores of the seeds {list(scores)}, boxes of {list(predicted)}; give the same")

    def checked(seed: str, own: Sequence[VideoScores]) -> tuple[LocatedVideo, ...]:
        located = locate(own, videos, settings.tail)
        _check_boxes(located, predicted[seed])
        return located

    located = check_seeds(method, scores, checked)
    first = next(iter(located.values()))
    compute = [partial(_metrics, own, predicted[seed], settings) for seed, own in located.items()]
    metrics, samples = values_over_seeds(compute, [video.label for video in first], settings)
    counts = _counts(first)
    return SpatialEvaluation(
        method=method,
        seeds=tuple(scores),
        settings=settings,
        metrics=metrics,
        names=tuple(video.name for video in first),
        counts=counts,
        about=_describe(counts, settings),
        samples=samples,
    )


def _metrics(
    videos: Sequence[LocatedVideo],
    predicted: Mapping[str, Predicted],
    settings: LocalisationSettings,
    weights: Floats,
) -> Values:
    boxes = [predicted[video.name] for video in videos]
    return compute_metrics(WeightedMaps(videos=videos, boxes=boxes, settings=settings, weights=weights))


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


def _describe(counts: Mapping[str, int], settings: LocalisationSettings) -> str:
    return (
        f"{counts['videos']} videos ({counts['boxed_videos']} with boxes), {counts['frames']} frames: "
        f"{counts['annotated_frames']} with {counts['boxes']} boxes, {counts['unknown_frames']} left out (anomalous, "
        f"without a box); TIoU from a score of {settings.tiou_score:g}"
    )
