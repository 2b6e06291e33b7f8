"""What benchmarks/real_cctv.py prints: every figure beside random weights and beside motion, and the RESULT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.network_comparison import paired_half_width, spread
from benchmarks.real_cctv_sets import RealTest
from benchmarks.source_intervals import Figure

Rows = dict[str, dict[str, Figure]]
"""Row (a start, or a reference) -> what is measured -> its figure."""
AGAINST = {"random": "less random weights", "motion energy": "less motion energy"}
"""Rows that all others are compared with -> what the difference is called."""
IMAGE = "image"
"""The row of a frozen image network alone; what the tasks add to it stands in a table of its own."""
HEADS = ("", "AUC", "less random: sources", "networks", "less motion: sources", "networks")
WIDTHS = (22, 18, 28, 20, 28, 0)


def describe(tests: Sequence[RealTest], networks: int, detectors: int) -> str:
    """What was measured, in words."""
    lines = [f"{networks} network(s), {detectors} detector(s) for each and for each fold"]
    for test in tests:
        scored = test.videos.subset("test")
        sources = len({video.group for video in scored})
        abnormal = sum(video.label == 1 for video in scored)
        lines.append(f"{test.title}: {len(scored)} videos ({abnormal} abnormal) of {sources} {test.groups}s")
    lines.append(
        "+- after a mean: deviation over networks; differences are paired, with 95 % intervals over sources "
        "(bootstrap) and half widths over networks (t)"
    )
    return "\n".join(lines)


def tables(rows: Rows) -> str:
    """A block for everything that is measured."""
    keys = dict.fromkeys(key for row in rows.values() for key in row)
    blocks = [block(key, {title: row[key] for title, row in rows.items()}) for key in keys]
    added = [f"{title} less {IMAGE}, {key}: {'  '.join(difference(less))}" for title, key, less in added_to_image(rows)]
    return "\n\n".join([*blocks, *(["\n".join(added)] if added else [])])


def added_to_image(rows: Rows) -> list[tuple[str, str, Figure]]:
    """What the tasks add to the image network: row, what is measured, paired difference."""
    return [
        (title, key, figure.less(rows[IMAGE][key]))
        for title, row in rows.items()
        if title.startswith(f"{IMAGE} + ")
        for key, figure in row.items()
    ]


def block(key: str, row_figures: Mapping[str, Figure]) -> str:
    """One figure of all rows."""
    lines = [line((key, *HEADS[1:])) if len(key) < WIDTHS[0] else f"{key}\n{line(HEADS)}"]
    for title, figure in row_figures.items():
        cells = [title, spread(figure.per_network)]
        for other in AGAINST:
            cells += ["", ""] if title == other else difference(figure.less(row_figures[other]))
        lines.append(line(cells))
    return "\n".join(lines)


def difference(less: Figure) -> list[str]:
    """The mean difference with its interval over sources, and with its half width over networks."""
    low, high = less.interval()
    half = paired_half_width(less.per_network)
    return [f"{less.per_network.mean():+.3f} ({low:+.3f} to {high:+.3f})", "" if half is None else f"+- {half:.3f}"]


def line(cells: Any) -> str:
    """Cells in columns."""
    return "".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def result(rows: Rows) -> dict[str, Any]:
    """For the RESULT line; None stands for what is not defined."""
    return {
        "rows": {
            title: {
                key: figure.as_json()
                | {
                    f"less_{other.replace(' ', '_')}": figure.less(rows[other][key]).as_json()
                    for other in AGAINST
                    if other != title
                }
                for key, figure in row.items()
            }
            for title, row in rows.items()
        },
        "added_to_image": {f"{title}, {key}": less.as_json() for title, key, less in added_to_image(rows)},
    }
