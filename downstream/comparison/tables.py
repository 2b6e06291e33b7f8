"""The tables of a comparison: for the terminal, for a README (Markdown), for a paper (LaTeX), and as CSV."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from downstream.ablation.tables import Emphasise, differing, escaped, failed, math_minus, measured
from downstream.comparison.results import COMPARED, DetectorRow, Results
from downstream.evaluation.evaluation import Difference, MetricValue
from downstream.evaluation.metrics import METRICS
from pretrain.tables import table_line

COLUMNS = ("frame_auc", "frame_ap", "per_video_auc", "video_auc", "false_alarm_rate")
"""Of the test videos."""
WITH_INTERVAL = ("frame_auc",)
Lines = list[list[str]]


class Table(NamedTuple):
    """A heading and rows of as many cells."""

    header: list[str]
    rows: Lines


def figures(results: Results) -> Table:
    """Metrics on the test videos, of references below, and of validation videos."""
    tested = any(row.row.evaluation for row in results.rows)
    shown = COLUMNS if tested else ()
    header = ["detector", *map(_title, shown), "validation video AUC"]
    rows = [
        [row.name, *(_metric(row.row.metrics.get(metric), metric) for metric in shown), _plain(row.row.validation)]
        for row in results.rows
    ]
    for reference in results.reference_rows if tested else ():
        values = [_metric(reference.metrics.get(metric), metric) for metric in shown]
        rows.append([f"{reference.method} (reference)", *values, "-"])
    return Table(header, rows)


def differences(results: Results, emphasise: Emphasise) -> Table:
    """To ours, and to the best score that needs no learning; without rows where nothing was tested."""
    against = results.config.measured_against()
    header = ["detector", *(f"{_title(metric)} less {against}" for metric in COMPARED)]
    header += [f"{_title(metric)} less best reference" for metric in COMPARED]
    rows = []
    for row in results.rows:
        best = {each.metric: each for each in row.references}
        cells = [differing((row.less_ours or {}).get(metric), emphasise) for metric in COMPARED]
        for metric in COMPARED:
            found = best.get(metric)
            cells.append("-" if found is None else f"{differing(found.difference, emphasise)} ({found.name})")
        if set(cells) != {"-"}:
            rows.append([row.name, *cells])
    return Table(header, rows)


def costs(results: Results) -> Table:
    """What each of them takes; without rows where nothing was measured."""
    header = ["detector", "steps", "bags x snippets", "steps/s", "peak memory, MB", "weights, MB", "snippets/s scored"]
    rows = []
    for row in results.rows:
        if row.cost is not None:
            cost = row.cost
            numbers = (cost.steps_per_second, cost.peak_megabytes, cost.weight_megabytes, cost.snippets_per_second)
            bags = f"{cost.batch_size} x {cost.segments}"
            rows.append([row.name, str(row.steps), bags, *map(three_digits, numbers)])
    return Table(header, rows)


def three_digits(value: float) -> str:
    """A number as people read it: 1234, 56.7, 0.89, 0.0012."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def tables(results: Results, emphasise: Emphasise) -> list[Table]:
    """Those that have rows."""
    return [table for table in (figures(results), differences(results, emphasise), costs(results)) if table.rows]


def terminal(results: Results) -> str:
    """Aligned columns; `*` where a difference is clear."""
    parts = [aligned(table) for table in tables(results, lambda text: text + "*")]
    return "\n\n".join(parts) + "\n\n" + "\n".join([*results.notes(), *failed(results.ablation)])


def aligned(table: Table) -> str:
    """Columns of one width, a line below the heading."""
    lines = [table.header, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([texts[0], "-" * max(map(len, texts)), *texts[1:]])


def markdown(results: Results) -> str:
    """Bold where a difference is clear; who published what, and notes, below."""
    parts = [_markdown(table) for table in tables(results, lambda text: f"**{text}**")]
    parts.append("\n".join(f"- {row.name}: {row.about}" for row in results.rows))
    parts.append("\n".join([*results.notes(), *failed(results.ablation)]))
    return "\n\n".join(parts) + "\n"


def _markdown(table: Table) -> str:
    lines = ["| " + " | ".join(line) + " |" for line in [table.header, *table.rows]]
    return "\n".join([lines[0], "|---" * len(table.header) + "|", *lines[1:]])


def latex(results: Results) -> str:
    """Tables for a paper that loads booktabs, bold where a difference is clear."""
    found = tables(results, lambda text: f"\0{text}\1")
    said = [f"Comparison. {' '.join(results.notes())}", *(f"Comparison, {part}." for part in ("continued", "cost"))]
    parts = [_latex(table, said[number], f"comparison-{number}") for number, table in enumerate(found)]
    return r"% needs \usepackage{booktabs}" + "\n" + "\n".join(parts)


def _latex(table: Table, caption: str, label: str) -> str:
    def line(cells: Sequence[str]) -> str:
        text = " & ".join(math_minus(escaped(cell)) for cell in cells) + r" \\"
        return text.replace("\0", r"\textbf{").replace("\1", "}")

    lines = [
        *(r"\begin{table}", r"\centering", r"\small", rf"\begin{{tabular}}{{{'l' * len(table.header)}}}", r"\toprule"),
        *(line(table.header), r"\midrule", *map(line, table.rows), r"\bottomrule", r"\end{tabular}"),
        *(rf"\caption{{{escaped(caption)}}}", rf"\label{{tab:{label}}}", r"\end{table}"),
    ]
    return "\n".join(lines) + "\n"


def as_csv(results: Results) -> str:
    """A line a detector: metrics with deviation and interval, differences with theirs, cost; references below."""
    names = ["detector", "seeds", "steps"]
    for metric in COLUMNS:
        names += [
            metric,
            *(f"{metric}_{part}" for part in ("std", "low", "high", "less_ours", "less_low", "less_high")),
        ]
    names += ["validation_video_auc", *(name for name, _ in COSTS)]
    lines = [table_line(names)]
    for row in results.rows:
        values: list[float | None] = []
        for metric in COLUMNS:
            less = (row.less_ours or {}).get(metric)
            values += [*_numbers(row.row.metrics.get(metric)), *(_numbers(less) if less else [None] * 3)]
        values += [row.row.validation.value, *(read(row) for _, read in COSTS)]
        lines.append(table_line([row.name, len(row.row.validation.per_seed), row.steps, *map(_cell, values)]))
    for reference in results.reference_rows:
        values = []
        for metric in COLUMNS:
            values += [*_numbers(reference.metrics.get(metric)), None, None, None]
        rest = [""] * (1 + len(COSTS))
        lines.append(table_line([f"{reference.method} (reference)", "", "", *map(_cell, values), *rest]))
    return "".join(lines)


COSTS: tuple[tuple[str, Callable[[DetectorRow], float | None]], ...] = (
    ("steps_per_second", lambda row: row.cost.steps_per_second if row.cost else None),
    ("peak_megabytes", lambda row: row.cost.peak_megabytes if row.cost else None),
    ("weight_megabytes", lambda row: row.cost.weight_megabytes if row.cost else None),
    ("snippets_per_second", lambda row: row.cost.snippets_per_second if row.cost else None),
)


def _numbers(value: MetricValue | Difference | None) -> list[float | None]:
    """Value, deviation (of metrics alone), and interval."""
    if value is None:
        return [None] * 4
    low, high = value.interval or (None, None)
    deviation = [value.deviation] if isinstance(value, MetricValue) else []
    return [value.value, *deviation, low, high]


def _cell(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.6g}"


def _metric(value: MetricValue | None, name: str) -> str:
    return measured(value, with_interval=name in WITH_INTERVAL)


def _plain(value: MetricValue) -> str:
    return measured(value, with_interval=False)


def _title(name: str) -> str:
    return METRICS[name].short_title or METRICS[name].title
