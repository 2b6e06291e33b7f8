from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from downstream.evaluation.operating_curve import OperatingCurve, OperatingPoint, ThresholdPoint
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.temporal_evaluation import evaluate, evaluate_seeds
from downstream.visualisation.operating_plot import RateAxis, length_in_words, plot_operating_curves, rate_axis
from downstream.visualisation.plots import COLOURS
from tests.downstream.evaluation.reference import better, random_test_set
from tests.downstream.visualisation.test_plots import pixels_of


def curve(hours: float, last: float, at: float) -> OperatingCurve:
    points = [
        OperatingPoint(false_alarms_per_hour=rate, found_share=share, found=share, interval=None, thresholds=(0.5,))
        for rate, share in ((0.0, 0.0), (last, 1.0))
    ]
    threshold = ThresholdPoint(threshold=0.5, false_alarms_per_hour=at, found_share=1.0, found=1.0)
    return OperatingCurve(hours=hours, anomalies=1, points=tuple(points), at_threshold=threshold)


def test_every_method_has_a_line_and_a_dot(tmp_path: Path) -> None:
    scores, videos = random_test_set(np.random.default_rng(1), 5, 4)
    settings = EvaluationSettings(resamples=20)
    pair = [
        evaluate(scores, videos, settings, "a $method_"),
        evaluate_seeds({"0": scores, "1": better(scores, videos, 1)}, videos, settings, "b"),
    ]
    target = tmp_path / "operating_curve.png"
    assert plot_operating_curves(pair, target)
    assert min(pixels_of(target, colour) for colour in COLOURS[:2]) > 200
    assert pixels_of(target, COLOURS[2]) == 0
    assert np.asarray(Image.open(target)).shape[1] > 600


def test_nothing_is_drawn_where_frame_rates_are_not_known(tmp_path: Path) -> None:
    scores, videos = random_test_set(np.random.default_rng(1))
    settings = EvaluationSettings(resamples=0, max_alarms_per_hour=())
    assert not plot_operating_curves([evaluate(scores, videos, settings)], tmp_path / "operating_curve.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("hours", "last", "at", "expected"),
    [
        (0.1, 586.0, 100.0, RateAxis(10.0, 1000.0)),
        (0.001, 3.0, 0.0, RateAxis(10.0, 100.0)),  # however short, no coarser
        (10.0, 3.0, 40.0, RateAxis(0.1, 100.0)),
        (5000.0, 0.0, 0.0, RateAxis(0.1, 1.0)),
        (0.5, 100.0, 0.0, RateAxis(1.0, 100.0)),
    ],
)
def test_the_axis_shows_none_the_least_rate_and_the_highest(
    hours: float, last: float, at: float, expected: RateAxis
) -> None:
    axis = rate_axis([curve(hours, last, at)])
    assert axis == pytest.approx(expected)
    places = [axis.share(tick) for tick in axis.ticks]
    assert places == pytest.approx(np.linspace(0, 1, len(places)))
    assert axis.share(last) <= 1
    assert axis.share(axis.linear / 2) == pytest.approx(places[1] / 2)


def test_less_than_an_hour_is_said_in_minutes() -> None:
    assert (length_in_words(0.1), length_in_words(1), length_in_words(12.345)) == ("6 minutes", "1 hours", "12.3 hours")
