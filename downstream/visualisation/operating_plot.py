"""Anomalies found over false alarms per hour, drawn: what an operator chooses a threshold by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from downstream.evaluation.operating_curve import OperatingCurve
from downstream.evaluation.temporal_evaluation import TemporalEvaluation
from downstream.visualisation.plots import COLOURS, STYLE
from pretrain.files import replacing

MAX_BANDS = 2
"""With more methods their intervals hide each other."""


def plot_operating_curves(evaluations: Sequence[TemporalEvaluation], target: Path) -> bool:
    """A line a method: mean over seeds, the band its interval over videos; the dot is the evaluation's threshold.

    Rates are on a `RateAxis`. False, and no file, where no method has a curve.
    """
    curves = [(own.method, own.operating_curve) for own in evaluations if own.operating_curve is not None]
    if not curves:
        return False
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(6.8, 4.4 + 0.2 * len(curves)), layout="constrained")
        FigureCanvasAgg(figure)
        axis = figure.subplots()
        rates = rate_axis([curve for _, curve in curves])
        for number, (method, curve) in enumerate(curves):
            _draw(axis, curve, rates, COLOURS[number % len(COLOURS)], method, len(curves) <= MAX_BANDS)
        _dress(axis, curves[0][1], rates)
        figure.legend(loc="outside lower left", fontsize=9)
        with replacing(target) as temporary:
            figure.savefig(temporary, dpi=130)
    return True


class RateAxis(NamedTuple):
    """An axis of false alarms per hour that can show none: linear from 0 to `linear`, logarithmic up to `end`."""

    linear: float
    """A power of ten, .1 to 10: as fine as the least rate that so many hours can show."""
    end: float
    """A power of ten beyond all corners and dots."""

    @property
    def ticks(self) -> list[float]:
        """0 and powers of ten."""
        first, last = round(math.log10(self.linear)), round(math.log10(self.end))
        return [0.0, *(10.0**power for power in range(first, last + 1))]

    def share(self, rate: float) -> float:
        """Where on the axis a rate stands, 0 to 1; each power of ten is as long as the linear part."""
        whole = 1 + math.log10(self.end / self.linear)
        return (rate / self.linear if rate < self.linear else 1 + math.log10(rate / self.linear)) / whole


def rate_axis(curves: Sequence[OperatingCurve]) -> RateAxis:
    """For all of these, of the same videos."""
    rates = [own.points[-1].false_alarms_per_hour for own in curves]
    rates += [own.at_threshold.false_alarms_per_hour for own in curves]
    linear = min(max(10.0 ** math.floor(-math.log10(curves[0].hours)), 0.1), 10.0)
    return RateAxis(linear, 10.0 ** max(math.ceil(math.log10(max(linear, *rates))), round(math.log10(linear)) + 1))


def _draw(axis: Any, curve: OperatingCurve, rates: RateAxis, colour: str, method: str, is_banded: bool) -> None:
    places = [*(rates.share(point.false_alarms_per_hour) for point in curve.points), 1.0]
    shares = [point.found_share for point in curve.points]
    bounds = [point.interval for point in curve.points if point.interval is not None]
    if is_banded and bounds:
        low, high = ([*side, side[-1]] for side in zip(*bounds, strict=True))
        axis.fill_between(places, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
    at = curve.at_threshold
    label = f"{method} (at {at.threshold:g}: {at.found:g} of {curve.anomalies}, {at.false_alarms_per_hour:.3g} an hour)"
    axis.plot(places, [*shares, shares[-1]], drawstyle="steps-post", color=colour, linewidth=1.8, label=label)
    dot = {"marker": "o", "markersize": 7, "markeredgecolor": "white", "zorder": 5, "clip_on": False}
    axis.plot([rates.share(at.false_alarms_per_hour)], [at.found_share], color=colour, linestyle="none", **dot)


def _dress(axis: Any, curve: OperatingCurve, rates: RateAxis) -> None:
    places = [rates.share(tick) for tick in rates.ticks]
    axis.set_xticks(places, labels=[f"{tick:g}" for tick in rates.ticks])
    axis.set(xlim=(0, 1), ylim=(0, 1.02))
    axis.set(xlabel="false alarms per hour", ylabel=f"share of {curve.anomalies} anomalies found")
    about = f"{length_in_words(curve.hours)} of video; the dot is the evaluated threshold"
    axis.set_title(f"Found against false alarms\n{about}", loc="left", fontsize=10)


def length_in_words(hours: float) -> str:
    """Minutes where it is less than an hour."""
    return f"{hours:.3g} hours" if hours >= 1 else f"{60 * hours:.3g} minutes"
