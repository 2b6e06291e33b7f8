"""Curves people want to look at: ROC, precision and recall, and scores over time with the truth behind them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downstream.evaluation.curves import OperatingPoints, operating_points, pr_curve, roc_auc, roc_curve
from downstream.evaluation.evaluation import MetricValue
from downstream.evaluation.temporal_evaluation import TemporalEvaluation
from pretrain.data.video import Clock, clock_of
from pretrain.files import replacing
from pretrain.names import shown

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000")
"""Okabe and Ito (2008): told apart by readers with any colour vision."""
TRUTH_COLOUR = "#e69f00"
GRID = np.linspace(0, 1, 1001)
STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
    "text.parse_math": False,  # a dollar sign in a video's name begins no formula
}


def write_plots(evaluations: Sequence[TemporalEvaluation], folder: Path) -> None:
    """roc.png, pr.png and scores.png, a line a method."""
    plot_roc(evaluations, folder / "roc.png")
    plot_pr(evaluations, folder / "pr.png")
    plot_scores(evaluations, folder / "scores.png")


def plot_roc(evaluations: Sequence[TemporalEvaluation], target: Path) -> None:
    """ROC curves of all frames, a line a method: mean over seeds, the band spans the seeds."""

    def draw(axis: Any) -> None:
        for colour, evaluation in zip(_colours(evaluations), evaluations, strict=True):
            curves = np.array([_interpolated(*roc_curve(points)) for points in _points(evaluation)])
            label = f"{evaluation.title}: AUC {_value_in_words(evaluation.metrics['frame_auc'])}"
            _band(axis, curves, colour, label)
        axis.plot([0, 1], [0, 1], color="#888888", linestyle="--", linewidth=1, label="chance")
        axis.set(xlabel="false-positive rate (normal frames)", ylabel="true-positive rate (anomalous frames)")

    _square(draw, target, "ROC, all frames")


def plot_pr(evaluations: Sequence[TemporalEvaluation], target: Path) -> None:
    """Precision over recall of all frames; the dashed line is the share of anomalous frames, what guessing reaches."""

    def draw(axis: Any) -> None:
        counts = evaluations[0].counts
        prevalence = counts["anomalous_frames"] / counts["frames"]
        for colour, evaluation in zip(_colours(evaluations), evaluations, strict=True):
            curves = np.array([_step(*pr_curve(points)) for points in _points(evaluation)])
            _band(axis, curves, colour, f"{evaluation.title}: AP {_value_in_words(evaluation.metrics['frame_ap'])}")
        label = f"prevalence {prevalence:.3f}"
        axis.axhline(prevalence, color="#888888", linestyle="--", linewidth=1, label=label)
        axis.set(xlabel="recall", ylabel="precision")

    _square(draw, target, "Precision and recall, all frames")


def _points(evaluation: TemporalEvaluation) -> list[OperatingPoints]:
    """Of each seed."""
    return [
        operating_points(
            np.concatenate([video.scores for video in videos]),
            np.concatenate([video.positive for video in videos]),
            np.concatenate([video.negative for video in videos]),
        )
        for videos in evaluation.videos
    ]


def _interpolated(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    # where x repeats (a vertical piece) the highest point is the curve's
    last = np.append(np.flatnonzero(np.diff(x)), len(x) - 1)
    return np.interp(GRID, x[last], y[last])


def _step(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> NDArray[np.float64]:
    """Precision of the first threshold that reaches each recall; the convention of (0, 1) is not drawn."""
    return precision[1:][np.minimum(np.searchsorted(recall[1:], GRID), len(recall) - 2)]


def _band(axis: Any, curves: NDArray[np.float64], colour: str, label: str) -> None:
    if len(curves) > 1:
        axis.fill_between(GRID, curves.min(axis=0), curves.max(axis=0), color=colour, alpha=0.18, linewidth=0)
    axis.plot(GRID, curves.mean(axis=0), color=colour, linewidth=1.8, label=label)


def _value_in_words(metric: MetricValue) -> str:
    bounds = f" [{metric.interval.low:.3f}, {metric.interval.high:.3f}]" if metric.interval else ""
    return f"{metric.value:.3f}{bounds}"


def _colours(evaluations: Sequence[TemporalEvaluation]) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(len(evaluations))]


def _square(draw: Any, target: Path, title: str) -> None:
    """A square plot over [0, 1] x [0, 1], the legend below it: methods' names may be long."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        axis = figure.subplots()
        draw(axis)
        figure.set_size_inches(5.6, 5.9 + 0.2 * len(axis.get_legend_handles_labels()[1]))
        axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axis.set_title(title, loc="left", fontweight="bold")
        figure.legend(loc="outside lower left", fontsize=9)
        with replacing(target) as temporary:
            figure.savefig(temporary, dpi=130)


def plot_scores(evaluations: Sequence[TemporalEvaluation], target: Path, abnormal: int = 8, normal: int = 4) -> None:
    """Scores over time of the most telling videos, annotated anomalies shaded.

    Chosen by the first method: of the abnormal videos those that it orders best, worst and in between (by the AUC
    inside the video); of the normal ones those with the highest and the lowest peak.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    chosen = telling_videos(evaluations[0], abnormal, normal)
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    low, high = _range(evaluations)
    with rc_context(STYLE):
        figure = Figure(figsize=(4.2 * columns, 0.7 + 1.9 * rows), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False)
        for place, axis in enumerate(axes.flat):
            if place >= len(chosen):
                axis.set_visible(False)
                continue
            _panel(axis, evaluations, chosen[place])
            axis.set_ylim(low, high)
            if place % columns == 0:
                axis.set_ylabel("score")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        # with long names a line each, so that the legend stays on the page
        figure.legend(handles, labels, loc="outside upper left", ncols=4 if len("".join(labels)) < 80 else 1)
        with replacing(target) as temporary:
            figure.savefig(temporary, dpi=110)


def telling_videos(evaluation: TemporalEvaluation, abnormal: int, normal: int) -> list[int]:
    """Indices of at most so many abnormal videos, from the best ordered to the worst, then of normal ones."""
    seeds = evaluation.videos
    areas = {index: _mean_area(evaluation, index) for index, video in enumerate(seeds[0]) if video.label == 1}
    # a video that is anomalous throughout has no AUC
    defined = sorted((index for index in areas if not np.isnan(areas[index])), key=lambda index: -areas[index])
    peaks = {
        index: float(np.mean([videos[index].scores.max() for videos in seeds]))
        for index, video in enumerate(seeds[0])
        if video.label == 0
    }
    return _spread(defined or list(areas), abnormal) + _spread(sorted(peaks, key=lambda index: -peaks[index]), normal)


def _spread(ranked: list[int], count: int) -> list[int]:
    """A third (rounded up) from the front, a third from the end, the rest evenly from between."""
    if len(ranked) <= count:
        return ranked
    ends = -(-count // 3)
    middle = ranked[ends : len(ranked) - ends]
    wanted = count - 2 * ends
    between = [middle[(2 * number + 1) * len(middle) // (2 * wanted)] for number in range(wanted)]
    return ranked[:ends] + between + ranked[len(ranked) - ends :]


def _panel(axis: Any, evaluations: Sequence[TemporalEvaluation], index: int) -> None:
    video = evaluations[0].videos[0][index]
    clock = clock_of(1.0) if video.clock is None else video.clock  # else in frames
    for colour, evaluation in zip(_colours(evaluations), evaluations, strict=True):
        seeds = [videos[index] for videos in evaluation.videos]
        same = all(np.array_equal(seed.edges, seeds[0].edges) for seed in seeds)
        scores = np.array([seed.scores for seed in (seeds if same else seeds[:1])])
        edges = _times_of(seeds[0].edges, clock)
        if len(scores) > 1 and len(evaluations) == 1:  # bands of several methods hide each other
            ends = (np.append(side, side[-1]) for side in (scores.min(axis=0), scores.max(axis=0)))
            axis.fill_between(edges, *ends, step="post", color=colour, alpha=0.2, linewidth=0)
        axis.stairs(scores.mean(axis=0), edges, baseline=None, color=colour, linewidth=1.3, label=evaluation.title)
    threshold = evaluations[0].settings.threshold
    axis.axhline(threshold, color="#777777", linestyle=":", linewidth=1, label=f"threshold {threshold:g}")
    for number, (start, end) in enumerate(video.spans):
        label = "annotated anomaly" if not number else None
        axis.axvspan(
            clock.begin(start), clock.end(end), color=TRUTH_COLOUR, alpha=0.3, linewidth=0, zorder=0, label=label
        )
    axis.set_xlim(0, clock.end(video.frames))
    axis.set_xlabel("frame" if video.clock is None else "seconds", fontsize=9)
    axis.set_title(_panel_title(evaluations, index), loc="left", fontsize=9)


def _times_of(edges: NDArray[np.int64], clock: Clock) -> NDArray[np.float64]:
    *starts, last = edges.tolist()
    return np.array([*map(clock.begin, starts), clock.end(last)])


def _panel_title(evaluations: Sequence[TemporalEvaluation], index: int) -> str:
    """Name, class where the name does not say it, AUC inside the video of each method."""
    video = evaluations[0].videos[0][index]
    name = shown(video.name)
    name = name if len(name) <= 32 else f"{name[:20]}…{name[-11:]}"
    if video.label == 0:
        return f"{name} · normal"
    if video.class_name and video.class_name.lower() not in video.name.lower():
        name = f"{name} · {video.class_name}"
    areas = [_mean_area(evaluation, index) for evaluation in evaluations]
    return name if np.isnan(areas).any() else f"{name} · AUC {' / '.join(f'{area:.2f}' for area in areas)}"


def _mean_area(evaluation: TemporalEvaluation, index: int) -> float:
    """AUC inside one video, the mean over seeds; NaN where all its frames are of one kind."""
    videos = [videos[index] for videos in evaluation.videos]
    return float(np.mean([roc_auc(video.scores, video.positive, video.negative) for video in videos]))


def _range(evaluations: Sequence[TemporalEvaluation]) -> tuple[float, float]:
    """Of the score axis: [0, 1] where all scores lie in it."""
    scores = np.concatenate([video.scores for method in evaluations for videos in method.videos for video in videos])
    low, high = min(0.0, float(scores.min())), max(1.0, float(scores.max()))
    margin = 0.04 * (high - low)
    return low - margin, high + margin
