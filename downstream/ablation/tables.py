"""The table of an ablation: for the terminal, for a README (Markdown), for a paper (LaTeX), and as CSV."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from downstream.ablation.results import Ablation
from downstream.evaluation.bootstrap import Interval
from downstream.evaluation.evaluation import Difference, MetricValue
from downstream.evaluation.metrics import METRICS
from pretrain.tables import table_line

COLUMNS = ("frame_auc", "frame_ap", "abnormal_auc", "per_video_auc", "video_auc", "pixel_auc", "pointing")
"""Of the test videos; `ablation.json` has all that was measured."""
WITH_INTERVAL = ("frame_auc", "pixel_auc", "pointing")
"""The CSV has all intervals."""
REFERENCE = "reference"
"""What stands for the base of a score that needs no learning."""
Emphasise = Callable[[str], str]
ESCAPES = {character: "\\" + character for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
}


def terminal(ablation: Ablation) -> str:
    """Aligned columns; `*` where a difference is clear."""
    rows = [header(ablation), *cells(ablation, lambda text: text + "*"), *reference_cells(ablation)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:], "", *ablation.notes(), *failed(ablation)])


def markdown(ablation: Ablation) -> str:
    """Bold where a difference is clear; notes below."""
    rows = [header(ablation), *cells(ablation, lambda text: f"**{text}**"), *reference_cells(ablation)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    body = [lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]
    return "\n".join([*body, "", "\n".join(ablation.notes()), *failed(ablation)]) + "\n"


def latex(ablation: Ablation) -> str:
    """A table for a paper that loads booktabs; a rule between bases, bold where a difference is clear."""
    rows = [[math_minus(escaped(cell)) for cell in header(ablation)]]
    body = [" & ".join(rows[0]) + r" \\", r"\midrule"]
    previous = None
    for row, texts in zip(ablation.rows, cells(ablation, lambda text: f"\0{text}\1"), strict=True):
        group = (row.cell.features, row.cell.base)
        if previous is not None and group != previous:
            body.append(r"\addlinespace")
        previous = group
        plain = " & ".join(math_minus(escaped(text)) for text in texts) + r" \\"
        body.append(plain.replace("\0", r"\textbf{").replace("\1", "}"))
    below = [" & ".join(math_minus(escaped(text)) for text in texts) + r" \\" for texts in reference_cells(ablation)]
    body += [r"\midrule", *below] if below else []
    lines = [
        r"% needs \usepackage{booktabs}",
        *(r"\begin{table}", r"\centering", r"\small"),
        rf"\begin{{tabular}}{{{'l' * len(rows[0])}}}",
        *(r"\toprule", *body, r"\bottomrule", r"\end{tabular}"),
        rf"\caption{{Ablation. {escaped(' '.join(ablation.notes()))}}}",
        *(r"\label{tab:ablation}", r"\end{table}"),
    ]
    return "\n".join(lines) + "\n"


def as_csv(ablation: Ablation) -> str:
    """A line a cell, all metrics of the table with deviation and interval, all differences with theirs; references."""
    names = ["features", "base", "terms", "variant", "seeds"]
    columns = shown(ablation)
    for metric in columns:
        names += [metric, f"{metric}_std", f"{metric}_low", f"{metric}_high"]
        names += [f"{metric}_diff", f"{metric}_diff_low", f"{metric}_diff_high"]
    lines = [table_line([*names, "validation_video_auc", "validation_video_auc_std"])]
    for row in ablation.rows:
        cell = row.cell
        values: list[float | None] = []
        for metric in columns:
            value = row.metrics.get(metric)
            values += [None, None, None, None] if value is None else _numbers(value.value, value.interval, value)
            difference = row.differences.get(metric) if row.differences else None
            values += [None, None, None] if difference is None else _numbers(difference.value, difference.interval)
        values += [row.validation.value, row.validation.deviation]
        plain = ["" if value is None or math.isnan(value) else f"{value:.6g}" for value in values]
        lines.append(
            table_line([cell.features, cell.base, cell.terms, cell.variant or "", len(row.validation.per_seed), *plain])
        )
    for features, references in ablation.references.items():
        for reference in references:
            values = []
            for metric in columns:
                value = reference.metrics.get(metric)
                values += [None] * 4 if value is None else _numbers(value.value, value.interval, value)
                values += [None] * 3
            plain = ["" if value is None or math.isnan(value) else f"{value:.6g}" for value in values]
            lines.append(table_line([features, REFERENCE, reference.method, "", "", *plain, "", ""]))
    return "".join(lines)


def _numbers(value: float, interval: Interval | None, metric: MetricValue | None = None) -> list[float | None]:
    low, high = interval or (None, None)
    return [value, *([metric.deviation] if metric else []), low, high]


def shown(ablation: Ablation) -> list[str]:
    """Metrics that have a column: those of where only if some row says where."""
    return _known(ablation, COLUMNS)


def compared(ablation: Ablation) -> list[str]:
    """Metrics whose difference has one."""
    return _known(ablation, ablation.config.compare)


def _known(ablation: Ablation, names: Sequence[str]) -> list[str]:
    located = any(row.where for row in ablation.rows)
    return [name for name in names if located or METRICS[name].kind == "temporal"]


def header(ablation: Ablation) -> list[str]:
    """Titles; test columns only where the test videos could be scored."""
    titles = ["features", "base", "terms"]
    if any(row.evaluation for row in ablation.rows):
        titles += [_title(name) for name in shown(ablation)]
        titles += [f"Δ {_title(name)}" for name in compared(ablation)]
    return [*titles, "validation video AUC"]


def _title(name: str) -> str:
    return METRICS[name].short_title or METRICS[name].title


def cells(ablation: Ablation, emphasise: Emphasise) -> list[list[str]]:
    """The texts of every row, under `header`."""
    tested = any(row.evaluation for row in ablation.rows)
    table = []
    for row in ablation.rows:
        texts = [row.cell.features, row.cell.base, row.cell.method]
        if tested:
            texts += [
                measured(row.metrics.get(metric), with_interval=metric in WITH_INTERVAL) for metric in shown(ablation)
            ]
            differences = row.differences or {}
            texts += [differing(differences.get(metric), emphasise) for metric in compared(ablation)]
        table.append([*texts, measured(row.validation, with_interval=False)])
    return table


def reference_cells(ablation: Ablation) -> list[list[str]]:
    """The texts of the rows below all others: each feature set's scores that need no learning."""
    table = []
    for features, references in ablation.references.items():
        for reference in references:
            metrics = [(reference.metrics.get(metric), metric in WITH_INTERVAL) for metric in shown(ablation)]
            texts = [measured(value, with_interval) for value, with_interval in metrics]
            table.append([features, REFERENCE, reference.method, *texts, *["-"] * (len(compared(ablation)) + 1)])
    return table


def measured(metric: MetricValue | None, with_interval: bool) -> str:
    """`0.845 ± 0.004 [0.812, 0.873]`."""
    if metric is None or math.isnan(metric.value):
        return "-"
    text = f"{metric.value:.3f}"
    if metric.deviation is not None:
        text += f" ± {metric.deviation:.3f}"
    return text + (_between(metric.interval) if with_interval else "")


def differing(difference: Difference | None, emphasise: Emphasise) -> str:
    """`+0.021 [0.004, 0.038]`, emphasised where the interval leaves 0 out."""
    if difference is None or math.isnan(difference.value):
        return "-"
    text = f"{difference.value:+.3f}" + _between(difference.interval)
    return emphasise(text) if difference.clear else text


def _between(interval: Interval | None) -> str:
    return "" if interval is None or math.isnan(interval.low) else f" [{interval.low:.3f}, {interval.high:.3f}]"


def escaped(text: str) -> str:
    """Text that LaTeX takes as it stands."""
    return "".join(ESCAPES.get(character, character) for character in text).replace("Δ", r"$\Delta$")


def math_minus(text: str) -> str:
    """A minus instead of a hyphen before numbers, and an en dash for a lone one."""
    return "--" if text == "-" else re.sub(r"(^|\[|, |\0)-(?=\d)", r"\1$-$", text)


def failed(ablation: Ablation) -> list[str]:
    """Which cells are not in the table, a line each; empty where all are."""
    names = [f"{item.cell}" + ("" if item.seed is None else f", seed {item.seed}") for item in ablation.failures]
    return ["", f"Not in the table, {len(names)} failed: {'; '.join(names)}"] if names else []
