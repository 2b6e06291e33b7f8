"""Each measure against the same thing written out, one snippet at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from downstream.references import measures
from downstream.references.measures import (
    NormalSnippets,
    compared_rows,
    deviation,
    draw_normal,
    feature_change,
    moving_mean,
    normal_distance,
    one_place,
    position,
)

Array = NDArray[np.float32]


@pytest.fixture
def features() -> Array:
    """40 snippets, 3 places, 4 numbers."""
    return np.random.default_rng(3).normal(5, 2, (40, 3, 4)).astype(np.float32)


def in_parts(features: Array) -> Iterator[Array]:
    return (features[start : start + 7] for start in range(0, len(features), 7))


def length(vector: Array) -> float:
    return float(np.sqrt((vector.astype(np.float64) ** 2).sum()))


def slow_mean(values: list[float], half: int = 2) -> list[float]:
    return [float(np.mean(values[max(0, i - half) : i + half + 1])) for i in range(len(values))]


def test_change_is_the_largest_step_of_any_place_averaged_over_five(features: Array) -> None:
    steps = [max(length(features[t, p] - features[t - 1, p]) for p in range(3)) for t in range(1, 40)]
    expected = slow_mean([steps[0], *steps])
    assert feature_change([features]) == pytest.approx(expected)
    assert feature_change(in_parts(features)) == pytest.approx(expected)


def test_a_video_of_one_snippet_has_no_change_and_no_others(features: Array) -> None:
    one = features[:1]
    assert feature_change([one]).tolist() == [0]
    assert deviation([one], one, compared_rows(1)).tolist() == [0]
    assert position(1).tolist() == [1]


@pytest.mark.parametrize("compared", [256, 12, 11])
def test_deviation_is_the_median_distance_to_the_other_snippets(
    features: Array, compared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "COMPARED_SNIPPETS", compared)
    monkeypatch.setattr(measures, "_ROWS", 6)
    rows = compared_rows(40)
    assert len(rows) == min(compared, 40)
    assert (rows[0], rows[-1]) == (0, 39)
    expected = [
        max(np.median([length(features[t, p] - features[other, p]) for other in rows if other != t]) for p in range(3))
        for t in range(40)
    ]
    assert deviation([features], features[rows], rows) == pytest.approx(expected)
    assert deviation(in_parts(features), features[rows], rows) == pytest.approx(expected)


def test_normal_distance_is_the_mean_of_the_five_nearest_standardised(
    features: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "_ROWS", 6)
    drawn = np.random.default_rng(4).normal(4, [1, 2, 3, 0], (30, 4))
    normal = NormalSnippets.of(drawn)
    spread = np.array([*drawn.std(axis=0)[:3], 1])  # the last number never changes

    def slow(vector: Array) -> float:
        distances = [length((vector - other) / spread) for other in drawn]
        return float(np.mean(sorted(distances)[:5]))

    expected = [max(slow(features[t, p]) for p in range(3)) for t in range(40)]
    assert normal_distance([features], normal) == pytest.approx(expected, rel=1e-6)
    assert normal_distance(in_parts(features), normal) == pytest.approx(expected, rel=1e-6)
    few = NormalSnippets.of(drawn[:2])
    assert normal_distance([features], few).shape == (40,)


def test_normal_snippets_are_drawn_by_the_generator_at_most_4096() -> None:
    kept, places = draw_normal(5000, 6, np.random.default_rng(0))
    assert len(kept) == len(set(kept.tolist())) == 4096
    assert np.array_equal(kept, np.sort(kept))
    assert set(places.tolist()) == set(range(6))
    again, _ = draw_normal(5000, 6, np.random.default_rng(0))
    assert np.array_equal(kept, again)
    assert not np.array_equal(kept, draw_normal(5000, 6, np.random.default_rng(1))[0])
    assert draw_normal(3, 1, np.random.default_rng(0))[0].tolist() == [0, 1, 2]


def test_position_is_highest_in_the_middle_and_alike_on_both_sides() -> None:
    assert position(4).tolist() == [0.25, 0.75, 0.75, 0.25]
    assert position(5) == pytest.approx([0.2, 0.6, 1, 0.6, 0.2])


def test_crops_are_averaged(features: Array) -> None:
    assert one_place(features).shape == (40, 1, 4)
    assert one_place(features)[:, 0] == pytest.approx(features.mean(axis=1))


@pytest.mark.parametrize(("window", "expected"), [(1, [1, 2, 6, 3]), (3, [1.5, 3, 11 / 3, 4.5]), (2, [1, 1.5, 4, 4.5])])
def test_windows_shrink_at_the_ends(window: int, expected: list[float]) -> None:
    assert moving_mean(np.array([1.0, 2, 6, 3]), window) == pytest.approx(expected)
