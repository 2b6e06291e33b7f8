from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstream.visualisation.score_axis import LEAST_SPAN, plain_score, score_axis

SHARES = st.floats(0, 1)
ANY = st.floats(-1e6, 1e6)


def labels(scores: list[float], threshold: float | None = None, most: int = 5) -> list[str]:
    return [label for _, label in score_axis(scores, threshold).ticks(most)]


def test_sure_scores_have_ticks_that_tell_them_apart() -> None:
    assert labels([0.005, 0.99999]) == ["0.01", "0.5", "0.99", "0.9999"]
    assert labels([0.99, 0.999999]) == ["0.99", "0.999", "0.9999", "0.99999", "0.999999"]
    assert labels([0.99, 0.9999999]) == ["0.99", "0.9999", "0.999999"]
    assert labels([0.2, 0.4], 0.3) == ["0.1", "0.5"]


def test_scores_that_are_no_shares_have_a_plain_axis_from_zero_on() -> None:
    axis = score_axis([2.0, 9.0], 4.0)
    assert (axis.low, axis.high, axis.is_log_odds) == (0.0, 9.0, False)
    assert labels([2.0, 9.0], 12.0) == ["0", "5", "10"]
    assert labels([-3.0, 0.5]) == ["-3", "-2", "-1", "0"]


def test_log_odds_lie_evenly() -> None:
    axis = score_axis([0.01, 0.99], None)
    assert axis.share([0.01, 0.5, 0.99]) == pytest.approx([0, 0.5, 1])
    assert axis.place(0.9) == pytest.approx(np.log(9))


def test_zero_and_one_are_drawn_beyond_all_others_and_do_not_squeeze_them() -> None:
    axis = score_axis([0.0, 0.1, 0.9, 1.0], None)
    zero, low, high, one = axis.share([0.0, 0.1, 0.9, 1.0])
    assert (zero, one) == (0, 1)
    assert 0.2 < low < 0.3
    assert 0.7 < high < 0.8
    assert axis.share(1 - 1e-9) == 1


@given(st.lists(st.one_of(SHARES, ANY), min_size=1, max_size=20), st.one_of(st.none(), SHARES, ANY), st.integers(2, 6))
def test_any_scores_have_an_axis_that_keeps_their_order(
    scores: list[float], threshold: float | None, most: int
) -> None:
    axis = score_axis(scores, threshold)
    shares = axis.share(np.sort(scores))
    assert (np.diff(shares) >= 0).all()
    assert 0 <= shares[0] <= shares[-1] <= 1
    ticks = axis.ticks(most)
    assert len(ticks) <= most
    places = [place for place, _ in ticks]
    assert places == sorted(set(places))
    assert all(axis.low <= place <= axis.high for place in places)
    if axis.is_log_odds:
        assert axis.high - axis.low >= LEAST_SPAN - 1e-9
        assert ticks
        for place, label in ticks:
            assert axis.place(float(label)) == pytest.approx(place)


def test_a_threshold_lies_on_the_axis_wherever_it_is() -> None:
    assert 0.6 < score_axis([0.1, 0.2], 0.999).share(0.999) <= 1
    assert score_axis([0.1, 1.0], float(np.nextafter(1.0, 2))).share(1.0) == 1  # the highest number below none


@pytest.mark.parametrize(
    ("score", "words"),
    [(0.73, "0.73"), (0.5, "0.50"), (0.9987, "0.999"), (0.99996, "0.99996"), (0.0004, "0.0004"), (1.0, "1.00"),
     (0.0, "0.00"), (1 - 3e-7, "0.9999997"), (1 - 1e-12, "1.00"), (-2.5, "-2.50"), (12.345, "12.35"), (0.99, "0.99")],
)  # fmt: skip
def test_scores_in_words_are_told_from_0_and_1(score: float, words: str) -> None:
    assert plain_score(score) == words
