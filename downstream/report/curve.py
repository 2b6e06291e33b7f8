"""The operators' curve on the page: drawn as inline SVG, and its corners as a table."""

from __future__ import annotations

from collections.abc import Iterable

from downstream.evaluation.operating_curve import OperatingCurve, OperatingPoint
from downstream.visualisation.operating_plot import RateAxis, length_in_words, rate_axis

LEFT, RIGHT, TOP, BOTTOM = 54, 606, 12, 262
"""Edges of the plot in its 640 x 310 units."""
MAX_ROWS = 40


def curve_section(curve: OperatingCurve | None) -> str:
    """A section with the curve; nothing where there is none."""
    if curve is None:
        return ""
    at = curve.at_threshold
    seeds = len(curve.points[0].thresholds)
    means = f" Means over {seeds} seeds, each by itself." if seeds > 1 else ""
    words = (
        f"{curve.anomalies} annotated anomalies in {length_in_words(curve.hours)} of video. At the evaluated threshold "
        f"{at.threshold:g} (the dot): {at.found:.4g} found, {at.false_alarms_per_hour:.3g} false alarms an hour."
    )
    counted = (
        "An anomaly is found if an event touches it; an event that touches none is a false alarm; hours are those of "
        "all videos, anomalies included. A rate of less than one in all hours means none at all. Shaded: the interval. "
        "The threshold is that of the evaluation, which need not be the one that this page marks events by."
        f"{means}"
    )
    return (
        '\n<section aria-labelledby="curve-head"><h2 id="curve-head">Found against false alarms</h2>\n'
        f'{_picture(curve)}\n<p class="muted">{words}</p>\n'
        f'<details><summary>What is counted, and thresholds</summary><p class="muted">{counted}</p>'
        f"{_table(curve)}</details></section>"
    )


def _picture(curve: OperatingCurve) -> str:
    axis = rate_axis([curve])
    at, points = curve.at_threshold, curve.points
    ends = [*(_x(axis, point.false_alarms_per_hour) for point in points), float(RIGHT)]
    stairs = list(_stairs(ends, [point.found_share for point in points]))
    bounds = [point.interval for point in points if point.interval is not None]
    band = ""
    if bounds:
        low, high = (list(_stairs(ends, list(side))) for side in zip(*bounds, strict=True))
        band = f'<path class="area" d="{_path([*low, *high[::-1]])}Z"/>'
    last = points[-1]
    label = (
        f"Share of anomalies found over false alarms per hour: {_percent(points[0].found_share)} without any, "
        f"{_percent(last.found_share)} at {last.false_alarms_per_hour:.3g} an hour"
    )
    dot = f'cx="{_x(axis, at.false_alarms_per_hour):.1f}" cy="{_y(at.found_share):.1f}"'
    return (
        f'<svg class="operating" viewBox="0 0 640 310" role="img" aria-label="{label}">{_frame(axis)}{band}'
        f'<path class="curve" d="{_path(stairs)}"/><circle class="dot" {dot} r="6"/></svg>'
    )


def _frame(axis: RateAxis) -> str:
    """Grid, axes and their words."""
    lines, texts = [], []
    for tick in axis.ticks:
        x = _x(axis, tick)
        lines.append(f"M{x:.1f} {TOP}V{BOTTOM}")
        texts.append(f'<text x="{x:.1f}" y="{BOTTOM + 18}" text-anchor="middle">{tick:g}</text>')
    for share in (0.25, 0.5, 0.75, 1.0):
        lines.append(f"M{LEFT} {_y(share):.1f}H{RIGHT}")
        texts.append(f'<text x="{LEFT - 8}" y="{_y(share) + 4:.1f}" text-anchor="end">{_percent(share)}</text>')
    middle = (LEFT + RIGHT) / 2
    words = "share of anomalies found, over false alarms per hour"
    texts.append(f'<text x="{middle:.0f}" y="{BOTTOM + 40}" text-anchor="middle">{words}</text>')
    return (
        f'<path class="grid" d="{"".join(lines)}"/><path class="axes" d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}"/>'
        + "".join(texts)
    )


def _table(curve: OperatingCurve) -> str:
    """The corners at which more is found; where they are many, evenly chosen ones."""
    corners = [point for before, point in _with_before(curve.points) if before is None or _finds_more(point, before)]
    if len(corners) > MAX_ROWS:
        corners = [corners[number * (len(corners) - 1) // (MAX_ROWS - 1)] for number in range(MAX_ROWS)]
    several = len(curve.points[0].thresholds) > 1
    names = (
        "False alarms per hour, at most",
        "Found",
        "Interval",
        "Thresholds of the seeds" if several else "Threshold",
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = "\n".join(f"<tr>{''.join(_cells(point))}</tr>" for point in corners)
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>'


def _cells(point: OperatingPoint) -> list[str]:
    bounds = point.interval
    between = "&ndash;" if bounds is None else f"{_percent(bounds.low)} to {_percent(bounds.high)}"
    low, high = min(point.thresholds), max(point.thresholds)
    threshold = f"{low!r}" if len(point.thresholds) == 1 else f"{low:.6g} to {high:.6g}"
    found = f"{_percent(point.found_share)} ({point.found:.4g})"
    texts = (f"{point.false_alarms_per_hour:.3g}", found, between, threshold)
    return [f'<td class="number">{text}</td>' for text in texts]


def _with_before(points: tuple[OperatingPoint, ...]) -> Iterable[tuple[OperatingPoint | None, OperatingPoint]]:
    return zip((None, *points), points, strict=False)


def _finds_more(point: OperatingPoint, before: OperatingPoint) -> bool:
    return point.found_share > before.found_share + 1e-9


def _stairs(ends: list[float], shares: list[float]) -> Iterable[tuple[float, float]]:
    """Each share from its own end to the next: `ends` has one more."""
    for left, right, share in zip(ends, ends[1:], shares, strict=False):
        yield from ((left, _y(share)), (right, _y(share)))


def _path(places: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)


def _x(axis: RateAxis, rate: float) -> float:
    return LEFT + (RIGHT - LEFT) * axis.share(rate)


def _y(share: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * share


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
