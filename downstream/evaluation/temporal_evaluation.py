"""All metrics of one method on the frames of one test set: values, deviations over seeds, intervals over videos.

evaluation = evaluate(read_scores(path).videos, catalogue.subset("test"), EvaluationSettings())
evaluation.metrics["frame_auc"].value
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from downstream.evaluation.evaluation import Evaluation, check_seeds, values_over_seeds
from downstream.evaluation.ground_truth import LabelledVideo, align, clocks_of
from downstream.evaluation.metrics import compute_metrics
from downstream.evaluation.operating_curve import OperatingCurve, operating_curve, sweep_of
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.temporal_metrics import WeightedVideos
from downstream.evaluation.weighted_auc import Floats, Values
from downstream.events.alarm_sweep import AlarmSweep
from downstream.events.rule import FALLBACK_FPS
from downstream.scores.video_scores import VideoScores
from pretrain.data.catalogue import Video
from pretrain.errors import UserError

_NAMED = 3
"""So many videos that were left out are named one by one; all of them stand in evaluation.json."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TemporalEvaluation(Evaluation):
    """What one method reached on the frames of one test set."""

    settings: EvaluationSettings
    videos: tuple[tuple[LabelledVideo, ...], ...]
    """By seed, in the catalogue's order."""
    operating_curve: OperatingCurve | None = None
    """Anomalies found over false alarms per hour; None where a frame rate is not known or nobody asked."""

    def as_json(self) -> dict[str, Any]:
        """With the curve, as much of it as there is."""
        curve = self.operating_curve
        return super().as_json() | {"operating_curve": None if curve is None else curve.as_json()}


def evaluate(
    scores: Sequence[VideoScores],
    videos: Sequence[Video],
    settings: EvaluationSettings | None = None,
    method: str = "scores",
) -> TemporalEvaluation:
    """Evaluate one score set on exactly these videos (a catalogue's test split). UserError as `align`."""
    return evaluate_seeds({"0": scores}, videos, settings, method)


def evaluate_seeds(
    scores: Mapping[str, Sequence[VideoScores]],
    videos: Sequence[Video],
    settings: EvaluationSettings | None = None,
    method: str = "scores",
    unscored: Mapping[str, str] | None = None,
    ceiling: bool = False,
) -> TemporalEvaluation:
    """Evaluate one method from the score sets of its seeds (seed -> scores).

    `unscored`: videos that could not be scored, and why. They count in no seed; the notes name them.
    `ceiling`: their detectors were trained on labels of frames.
    """
    settings = settings or EvaluationSettings()
    if not scores:
        raise UserError(f"{method}: there are no scores to evaluate")
    left_out = {video.name: unscored[video.name] for video in videos if video.name in unscored} if unscored else {}
    videos = [video for video in videos if video.name not in left_out]
    scores = {seed: [video for video in own if video.name not in left_out] for seed, own in scores.items()}
    clocks = clocks_of(videos)
    aligned = check_seeds(method, scores, lambda _, own: align(own, videos, settings.tail, clocks))
    labelled = tuple(own.videos for own in aligned.values())
    sweeps = [sweep_of(own, settings) for own in labelled]
    compute = [partial(_metrics, own, settings, sweep) for own, sweep in zip(labelled, sweeps, strict=True)]
    metrics, samples = values_over_seeds(compute, [video.label for video in labelled[0]], settings)
    counts = _counts(labelled[0])
    return TemporalEvaluation(
        method=method,
        seeds=tuple(scores),
        settings=settings,
        metrics=metrics,
        names=tuple(video.name for video in labelled[0]),
        counts=counts,
        about=_describe(counts, settings),
        notes=(
            *left_out_notes(left_out, len(videos)),
            *dict.fromkeys(note for own in aligned.values() for note in own.notes),
            *_assumed_fps(labelled[0], settings),
        ),
        samples=samples,
        videos=labelled,
        operating_curve=operating_curve([own for own in sweeps if own is not None], labelled, settings),
        ceiling=ceiling,
        left_out=left_out,
    )


def left_out_notes(left_out: Mapping[str, str], scored: int) -> list[str]:
    """A note for each video without scores; many without them for one reason share one."""
    if len(left_out) <= _NAMED:
        return [f"'{name}' could not be scored and is left out: {reason}" for name, reason in left_out.items()]
    reasons: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        reasons.setdefault(reason, []).append(name)
    head = f"{len(left_out)} of {len(left_out) + scored} videos could not be scored and are left out"
    if len(reasons) > _NAMED:
        return [f"{head}, the first is '{next(iter(left_out))}': {next(iter(reasons))}"]
    return [f"{head}, {len(own)} of them as '{own[0]}': {reason}" for reason, own in reasons.items()]


def _metrics(
    videos: Sequence[LabelledVideo], settings: EvaluationSettings, sweep: AlarmSweep | None, weights: Floats
) -> Values:
    return compute_metrics(WeightedVideos(videos=videos, settings=settings, weights=weights, sweep=sweep))


def _counts(videos: Sequence[LabelledVideo]) -> dict[str, int]:
    return {
        "videos": len(videos),
        "abnormal_videos": sum(video.label == 1 for video in videos),
        "frames": sum(video.frames for video in videos),
        "anomalous_frames": sum(int(video.positive.sum()) for video in videos),
    }


def _describe(counts: Mapping[str, int], settings: EvaluationSettings) -> str:
    share = 100 * counts["anomalous_frames"] / counts["frames"]
    return (
        f"{counts['videos']} videos ({counts['abnormal_videos']} abnormal), {counts['frames']} frames, "
        f"{counts['anomalous_frames']} anomalous ({share:.1f} %); threshold {settings.threshold:g}"
    )


def _assumed_fps(videos: Sequence[LabelledVideo], settings: EvaluationSettings) -> list[str]:
    """A note where the seconds of the rule for events are of an assumed frame rate."""
    count = sum(not (video.clock or settings.fps) for video in videos)
    if not count:
        return []
    return [
        f"{count} of {len(videos)} videos: frames per second not known; events are found as if it were "
        f"{FALLBACK_FPS:g} (--fps)"
    ]
