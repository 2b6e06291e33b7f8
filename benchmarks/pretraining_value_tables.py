"""What benchmarks/pretraining_value.py prints: every start beside random weights and the best reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.network_comparison import gain, paired_half_width, spread
from downstream.evaluation.evaluation import compare
from downstream.evaluation.temporal_evaluation import TemporalEvaluation

Evaluations = dict[str, dict[str, TemporalEvaluation]]
"""Judge -> row -> evaluation over all networks and detectors; or row -> reference -> the same."""
METRICS = {"frame_auc": "frame AUC", "per_video_auc": "per-video AUC"}
HEADS = ("mean", "less random: videos", "networks", "best reference", "less it: videos", "networks")
WIDTHS = (44, 18, 28, 18, 26, 28, 0)


class Judged(NamedTuple):
    """All that was evaluated."""

    evaluations: Evaluations
    """By judge and row."""
    references: Evaluations
    """By row and reference: what needs no learning, of the row's own features."""
    networks: int


class Less(NamedTuple):
    """A figure of one row less another's, paired."""

    value: float
    interval: tuple[float, float] | None
    """Over test videos."""
    by_network: NDArray[np.float64]

    @staticmethod
    def of(entry: TemporalEvaluation, other: TemporalEvaluation, metric: str, networks: int) -> Less:
        """`entry` less `other`."""
        difference = compare(other, entry)[metric]
        bounds = difference.interval
        interval = None if bounds is None else (bounds.low, bounds.high)
        by_network = per_network(entry, metric, networks) - per_network(other, metric, networks)
        return Less(difference.value, interval, by_network)

    def cells(self) -> list[str]:
        """For people: over videos, over networks."""
        interval = "" if self.interval is None else f" ({self.interval[0]:+.3f} to {self.interval[1]:+.3f})"
        return [f"{self.value:+.3f}{interval}", gain(self.by_network)]

    def as_json(self, prefix: str) -> dict[str, float | None]:
        """For machines."""
        low, high = self.interval or (None, None)
        half = paired_half_width(self.by_network)
        names = ("", "_ci_low", "_ci_high", "_half_width_over_networks")
        return {f"{prefix}{name}": value for name, value in zip(names, (self.value, low, high, half), strict=True)}


def per_network(evaluation: TemporalEvaluation, metric: str, networks: int) -> NDArray[np.float64]:
    """A figure of each network, the mean over its detectors."""
    return np.array(evaluation.metrics[metric].per_seed).reshape(networks, -1).mean(axis=1)


def best_reference(judged: Judged, arm: str, metric: str) -> TemporalEvaluation:
    """The reference that is best by this figure, in the mean over networks."""
    return max(judged.references[arm].values(), key=lambda entry: entry.metrics[metric].value)


def result_of(judged: Judged, probes: Mapping[str, list[float]]) -> dict[str, Any]:
    """All figures, for machines."""
    result: dict[str, Any] = {"probe": _probe_figures(probes)}
    for judge, rows in judged.evaluations.items():
        for metric, name in METRICS.items():
            result[f"{judge}, {name}"] = {arm: _figures(judged, rows, arm, metric) for arm in rows}
    return result


def _figures(judged: Judged, rows: Mapping[str, TemporalEvaluation], arm: str, metric: str) -> dict[str, Any]:
    best = best_reference(judged, arm, metric)
    figures: dict[str, Any] = {"value": float(per_network(rows[arm], metric, judged.networks).mean())}
    if arm != "random":
        figures |= Less.of(rows[arm], rows["random"], metric, judged.networks).as_json("less_random")
    figures |= {"best_reference": best.method, "best_reference_value": best.metrics[metric].value}
    return figures | Less.of(rows[arm], best, metric, judged.networks).as_json("less_reference")


def tables(judged: Judged, probes: Mapping[str, list[float]]) -> str:
    """All figures, for people: a block each."""
    blocks = [_probe_table(probes)]
    for judge, rows in judged.evaluations.items():
        for metric, name in METRICS.items():
            lines = [_padded((f"{judge}, {name}", *HEADS), WIDTHS)]
            for arm, entry in rows.items():
                best = best_reference(judged, arm, metric)
                random, networks = rows["random"], judged.networks
                less = ["", ""] if arm == "random" else Less.of(entry, random, metric, networks).cells()
                over = Less.of(entry, best, metric, networks).cells()
                reference = f"{best.method.replace('_', ' ')} {best.metrics[metric].value:.3f}"
                cells = (arm, spread(per_network(entry, metric, networks)), *less, reference, *over)
                lines.append(_padded(cells, WIDTHS))
            blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _probe_figures(probes: Mapping[str, list[float]]) -> dict[str, dict[str, float | None]]:
    random = np.array(probes["random"])
    return {
        arm: {
            "value": float(np.mean(own)),
            "less_random": float((np.array(own) - random).mean()),
            "half_width_over_networks": paired_half_width(np.array(own) - random),
        }
        for arm, own in probes.items()
    }


def _probe_table(probes: Mapping[str, list[float]]) -> str:
    widths = (44, 18, 0)
    lines = [_padded(("linear probe, AUC", "mean", "less random: networks"), widths)]
    for arm, own in probes.items():
        less = "" if arm == "random" else gain(np.array(own) - np.array(probes["random"]))
        lines.append(_padded((arm, spread(np.array(own)), less), widths))
    return "\n".join(lines)


def _padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
