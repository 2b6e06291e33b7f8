"""Figures as text: for the terminal, for a README (Markdown), for a paper (LaTeX), and a CSV line a video."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence

import numpy as np

from downstream.evaluation.curves import roc_auc
from downstream.evaluation.evaluate import Difference, Evaluation, Measure, title_of
from downstream.evaluation.ground_truth import LabelledVideo
from downstream.evaluation.temporal_metrics import events_of

SUMMARY = ("frame_auc", "frame_ap", "abnormal_auc", "per_video_auc", "video_auc", "false_alarm_rate")
"""Columns of a table with a line a method."""
PER_VIDEO_COLUMNS = (
    *("name", "label", "class_name", "frames", "anomalous_frames"),
    *("max_score", "mean_score", "auc", "events", "found_share", "false_share"),
)
"""The last two: shares of the anomalous and of the normal frames at or over the threshold."""
Rows = list[list[str]]


def evaluation_table(evaluation: Evaluation, metrics: Sequence[str] | None = None) -> str:
    """One method, a line a metric (default: every one), and what the reader should know."""
    counts, settings = evaluation.counts(), evaluation.settings
    share = 100 * counts["anomalous_frames"] / counts["frames"]
    head = [
        f"{evaluation.method}: {len(evaluation.seeds)} seed(s)",
        f"{counts['videos']} videos ({counts['abnormal_videos']} abnormal), {counts['frames']} frames, "
        f"{counts['anomalous_frames']} anomalous ({share:.1f} %); threshold {settings.threshold:g}",
    ]
    rows = [["metric", "value", f"{100 * settings.confidence:g} % interval", "deviation over seeds"]]
    for name in metrics or evaluation.measures:
        measure = evaluation.measures[name]
        deviation = "" if measure.deviation is None else figure(name, measure.deviation)
        rows.append([title_of(name), figure(name, measure.value), interval_words(name, measure.interval), deviation])
    notes = [f"note: {note}" for note in evaluation.notes[:10]]
    notes += [f"note: and {len(evaluation.notes) - 10} more, in evaluation.json"] * (len(evaluation.notes) > 10)
    return "\n".join([*head, *aligned(rows), *notes])


def comparison_table(
    first: str, second: str, differences: Mapping[str, Difference], metrics: Sequence[str] | None = None
) -> str:
    """`second` less `first`, a line a metric (default: all but the classes'); `*`: the interval leaves zero out."""
    rows = [["metric", "difference", "interval", ""]]
    for name, entry in differences.items():
        if name in metrics if metrics is not None else not name.startswith("class_auc"):
            sign = "+" if entry.value > 0 else ""
            clear = "*" if entry.clear else ""
            rows.append([title_of(name), sign + figure(name, entry.value), interval_words(name, entry.interval), clear])
    head = f"{second} less {first}, paired over videos (* the interval leaves zero out)"
    return "\n".join([head, *aligned(rows)])


def markdown(evaluations: Sequence[Evaluation], metrics: Sequence[str] = SUMMARY) -> str:
    """A line a method: `0.845 [0.812, 0.873] ± 0.004` (interval over videos, deviation over seeds)."""
    rows = _method_rows(evaluations, metrics, " ± ")
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]) + "\n"


def latex(evaluations: Sequence[Evaluation], metrics: Sequence[str] = SUMMARY) -> str:
    """The same as `tabular` for a paper that loads booktabs."""
    rows = [[_escaped(cell) for cell in row] for row in _method_rows(evaluations, metrics, r" $\pm$ ")]
    lines = [" & ".join(row) + r" \\" for row in rows]
    columns = "l" * len(rows[0])
    body = [r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}"]) + "\n"


def per_video_csv(evaluation: Evaluation) -> str:
    """A line a video: its length, its scores and what the threshold makes of it, each the mean over seeds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(PER_VIDEO_COLUMNS)
    for entries in zip(*evaluation.videos, strict=True):
        video = entries[0]
        figures = np.mean([_video_figures(entry, evaluation) for entry in entries], axis=0)
        cells = ["" if math.isnan(value) else f"{value:.6g}" for value in figures]
        counts = [video.frames, int(video.positive.sum())]
        writer.writerow([video.name, video.label, video.class_name or "", *counts, *cells])
    return text.getvalue()


def _video_figures(video: LabelledVideo, evaluation: Evaluation) -> list[float]:
    settings = evaluation.settings
    lengths = video.positive + video.negative
    over = video.scores >= settings.threshold
    return [
        float(video.scores.max()),
        float((video.scores * lengths).sum() / lengths.sum()),
        roc_auc(video.scores, video.positive, video.negative),
        float(len(events_of(video, settings))),
        _share(int(video.positive[over].sum()), int(video.positive.sum())),
        _share(int(video.negative[over].sum()), int(video.negative.sum())),
    ]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _method_rows(evaluations: Sequence[Evaluation], metrics: Sequence[str], plus_minus: str) -> Rows:
    rows = [["method", "seeds", *map(title_of, metrics)]]
    for entry in evaluations:
        cells = [cell_of(name, entry.measures.get(name), plus_minus) for name in metrics]
        rows.append([entry.method, str(len(entry.seeds)), *cells])
    return rows


def cell_of(name: str, measure: Measure | None, plus_minus: str) -> str:
    if measure is None or math.isnan(measure.value):
        return "-"
    text = figure(name, measure.value)
    if measure.interval is not None:
        text += f" [{figure(name, measure.interval.low)}, {figure(name, measure.interval.high)}]"
    return text if measure.deviation is None else f"{text}{plus_minus}{figure(name, measure.deviation)}"


def figure(name: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.1f}" if name.endswith("per_hour") else f"{value:.3f}"


def interval_words(name: str, bounds: tuple[float, float] | None) -> str:
    if bounds is None or math.isnan(bounds[0]):
        return ""
    return f"{figure(name, bounds[0])} to {figure(name, bounds[1])}"


def aligned(rows: Rows) -> list[str]:
    """The first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells]).rstrip())
    return ["", lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _escaped(text: str) -> str:
    for character in "&%#_":
        text = text.replace(character, "\\" + character)
    return text
