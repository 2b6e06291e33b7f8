"""Metrics as text: for the terminal, and for a README (Markdown)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from downstream.evaluation.bootstrap import Interval
from downstream.evaluation.evaluation import Difference, Evaluation, MetricValue, compare
from downstream.evaluation.metrics import METRICS, metric_of, title_of

SUMMARY = (
    *("frame_auc", "frame_ap", "abnormal_auc", "per_video_auc", "video_auc", "false_alarm_rate"),
    *("pixel_auc", "pixel_auc_abnormal", "pointing", "mean_iou", "recall_iou_0.3"),
)
"""What matters most; of an evaluation, those of them that it has."""
BESIDE_REFERENCES = ("frame_auc", "per_video_auc", "frame_ap", "video_auc")
"""What a method is shown by beside reference scores, which have no threshold."""
_MAX_NOTES = 10
Rows = list[list[str]]


def evaluation_table(evaluation: Evaluation, metrics: Sequence[str] | None = None, explained: bool = False) -> str:
    """One method, a line a metric (default: every one), chance beside it where it has one; what a reader should know.

    `explained`: below it, what each metric is.
    """
    chosen = _without_chance(_had([evaluation], metrics or list(evaluation.metrics)))
    rows = [["metric", "value", f"{100 * evaluation.settings.confidence:g} % interval", "deviation over seeds"]]
    for name in chosen:
        metric = evaluation.metrics[name]
        deviation = "" if metric.deviation is None else number(name, metric.deviation)
        rows.append([title_of(name), number(name, metric.value), _between(name, metric.interval), deviation])
    if any(metric_of(name).chance for name in chosen):
        chances = [_chance(name, evaluation) for name in chosen]
        rows = [[*row, chance] for row, chance in zip(rows, ["chance", *chances], strict=True)]
    notes = [f"note: {note}" for note in evaluation.notes or ()]
    if len(notes) > _MAX_NOTES:
        notes[_MAX_NOTES:] = [f"note: and {len(notes) - _MAX_NOTES} more, in evaluation.json"]
    head = [f"{evaluation.title}: {len(evaluation.seeds)} seed(s)", evaluation.about + evaluation.left_out_words()]
    return "\n".join([*head, *_columns(rows), *notes, *(["", *_meanings(chosen)] if explained else [])])


def reference_table(evaluations: Sequence[Evaluation], references: Sequence[Evaluation]) -> str:
    """Methods, and below them the scores that need no learning, a line each: value and interval of some metrics."""
    chosen = _had(evaluations, BESIDE_REFERENCES)
    rows = [["", *map(title_of, chosen)]]
    for evaluation in (*evaluations, *references):
        mark = " (reference)" if evaluation in references else ""
        values = [evaluation.metrics.get(name) for name in chosen]
        cells = [_with_bounds(name, value) for name, value in zip(chosen, values, strict=True)]
        rows.append([evaluation.method + mark, *cells])
    return "\n".join(["beside scores that need no learning", *_columns(rows)])


def markdown(
    evaluations: Sequence[Evaluation],
    metrics: Sequence[str] = SUMMARY,
    explained: bool = False,
    references: Sequence[Evaluation] = (),
) -> str:
    """A line a method: `0.62 [0.55, 0.70] ± 0.02 (chance 0.08)`: interval over videos, deviation over seeds, chance.

    Columns: those of `metrics` that any of the methods has. `references` stand below the methods, marked.
    `explained`: below it, what each metric is.
    """
    chosen = _had(evaluations, metrics)
    rows = [["method", "seeds", *map(title_of, chosen)]]
    for evaluation in evaluations:
        cells = [_cell(name, evaluation) for name in chosen]
        rows.append([evaluation.title, str(len(evaluation.seeds)), *cells])
    for evaluation in references:
        cells = [_with_interval(name, evaluation.metrics.get(name)) for name in chosen]
        rows.append([f"{evaluation.method} (reference)", "-", *cells])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---" * len(rows[0]) + "|")
    notes = ["", *(f"- {meaning}." for meaning in _meanings(chosen))] if explained else []
    left = [f"- {each.title}{words}." for each in evaluations if (words := each.left_out_words())]
    notes += ["", *left] if left else []
    return "\n".join([*lines, *notes]) + "\n"


def comparison_table(
    first: str, second: str, differences: Mapping[str, Difference], metrics: Sequence[str] | None = None
) -> str:
    """`second` less `first`, a line a metric (default: no classes, no chance); `*`: the interval leaves zero out."""
    rows = [["metric", "difference", "interval", ""]]
    for name, difference in differences.items():
        if metric_of(name).is_compared if metrics is None else name in metrics:
            clear = "*" if difference.clear else ""
            rows.append([title_of(name), _signed(name, difference.value), _between(name, difference.interval), clear])
    head = f"{second} less {first}, paired over videos (* the interval leaves zero out)"
    return "\n".join([head, *_columns(rows)])


def cost_of_weak_labels(ceiling: Evaluation, weak: Evaluation) -> str:
    """One line: what a detector trained on labels of videos reaches less than its ceiling, paired over videos."""
    differences = compare(ceiling, weak)
    parts = []
    for name in ("frame_auc", "per_video_auc"):
        between = _between(name, differences[name].interval)
        text = f"{title_of(name)} {_signed(name, differences[name].value)}"
        parts.append(f"{text} ({between})" if between else text)
    return f"what weak labels cost ({weak.method} less {ceiling.method}): {', '.join(parts)}"


def number(name: str, value: float) -> str:
    """A value, deviation or bound of a metric."""
    return "-" if math.isnan(value) else f"{value:.{metric_of(name).digits}f}"


def _signed(name: str, difference: float) -> str:
    return ("+" if difference > 0 else "") + number(name, difference)


def _had(evaluations: Sequence[Evaluation], metrics: Sequence[str]) -> list[str]:
    return [name for name in metrics if any(name in evaluation.metrics for evaluation in evaluations)]


def _without_chance(names: Sequence[str]) -> list[str]:
    chances = {metric.chance for metric in METRICS.values()}
    return [name for name in names if name not in chances]


def _meanings(names: Sequence[str]) -> list[str]:
    metrics = dict.fromkeys(metric_of(name).name for name in names)
    return [f"{METRICS[name].title}: {METRICS[name].explanation}" for name in metrics]


def _cell(name: str, evaluation: Evaluation) -> str:
    text = _with_interval(name, evaluation.metrics.get(name))
    chance = _chance(name, evaluation)
    return f"{text} (chance {chance})" if chance else text


def _with_interval(name: str, metric: MetricValue | None) -> str:
    if metric is None or math.isnan(metric.value):
        return "-"
    text = number(name, metric.value)
    if metric.interval is not None:
        text += f" [{number(name, metric.interval.low)}, {number(name, metric.interval.high)}]"
    return text if metric.deviation is None else f"{text} ± {number(name, metric.deviation)}"


def _with_bounds(name: str, metric: MetricValue | None) -> str:
    if metric is None or math.isnan(metric.value):
        return "-"
    bounds = _between(name, metric.interval)
    return number(name, metric.value) + (f" ({bounds})" if bounds else "")


def _chance(name: str, evaluation: Evaluation) -> str:
    chance = metric_of(name).chance
    return number(chance, evaluation.metrics[chance].value) if chance else ""


def _between(name: str, bounds: Interval | None) -> str:
    if bounds is None or math.isnan(bounds.low):
        return ""
    return f"{number(name, bounds.low)} to {number(name, bounds.high)}"


def _columns(rows: Rows) -> list[str]:
    """The first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells]).rstrip())
    return ["", lines[0], "-" * max(map(len, lines)), *lines[1:]]
