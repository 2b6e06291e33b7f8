"""Thumbnails: which frames, how large, with heat or without."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from downstream.events.finder import find_events
from downstream.events.rule import AlarmRule
from downstream.report.thumbnails import moments, peak_frames, peak_thumbnails
from downstream.scores.video_scores import make_scores
from downstream.visualisation.heat import HeatRange
from pretrain.errors import UserError
from tests.downstream.visualisation.drawn import hot_cell

RULE = AlarmRule(threshold=0.5, release=0.5)
HEAT = HeatRange(0.1, 0.9)


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A frame folder of 40 grey pictures, 72 x 48, brighter with every frame."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(40):
        Image.new("RGB", (72, 48), (60 + 2 * number,) * 3).save(folder / f"{number:04d}.png")
    return folder


def pixels(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)), np.int64)


def test_the_highest_events_in_the_order_of_time() -> None:
    scores = make_scores("a", [0.6, 0.1, 0.9, 0.1, 0.7, 0.8, 0.1], np.arange(8) * 10)
    events = find_events(scores, RULE, 25.0)
    assert peak_frames(scores, events, 2) == [24, 54]
    assert peak_frames(scores, events, 9) == [4, 24, 54]
    assert peak_frames(scores, [], 3) == [24]


def test_a_card_is_filled_with_further_moments_that_lie_apart() -> None:
    values = [0.1, 0.2, 0.9, 0.8, 0.7, 0.1, 0.1, 0.3, 0.1, 0.25]
    scores = make_scores("a", values, np.arange(11) * 10)
    events = find_events(scores, RULE, 25.0)
    assert moments(scores, events, 1) == [24]
    assert moments(scores, events, 3) == [24, 44, 74]  # of equal worth would be 34, right beside the peak
    assert moments(scores, events, 99) == [4 + 10 * n for n in range(10)]
    assert moments(make_scores("b", [0.2], [0, 10]), [], 3) == [4]


def test_pictures_are_of_their_frames(frames: Path) -> None:
    scores = make_scores("a", [0.6, 0.1, 0.9, 0.1, 0.1], np.arange(6) * 8)
    thumbnails = peak_thumbnails(frames, scores, find_events(scores, RULE, 25.0), count=2, width=36)
    assert [(one.frame, one.score) for one in thumbnails] == [(3, 0.6), (19, 0.9)]
    for one in thumbnails:
        assert pixels(one.jpeg).shape == (24, 36, 3)
        assert abs(pixels(one.jpeg).mean() - (60 + 2 * one.frame)) < 2
        assert f"{one.seconds:.1f} s" in one.alt


def test_small_footage_is_not_enlarged_and_a_cut_last_snippet_has_a_frame(frames: Path) -> None:
    scores = make_scores("a", [0.1, 0.9], [0, 36, 90])
    (one,) = peak_thumbnails(frames, scores, [], count=1, width=240)
    assert (one.frame, pixels(one.jpeg).shape) == (39, (48, 72, 3))


def test_heat_lies_over_the_hot_cell_alone(frames: Path) -> None:
    scores = hot_cell(5, {2: 0.9})
    plain, hot = (peak_thumbnails(frames, scores, [], count=1, heat=heat)[0] for heat in (None, HEAT))
    left, right = pixels(hot.jpeg)[:, :72], pixels(hot.jpeg)[:, 72:]
    clean, change = (np.abs(side - pixels(plain.jpeg)).sum(axis=2) for side in (left, right))
    assert clean[:, :64].max() < 40  # beside it the frame as it is
    assert change[10:26, 20:40].max() > 120 > 30 > change[36:, 48:].max()
    assert hot.alt.startswith("Frame, and beside it contours round what scored high")
    assert plain.alt.startswith("Frame,")


def test_maps_of_another_video_and_no_pictures_at_all_are_refused(frames: Path) -> None:
    with pytest.raises(UserError, match=r"the score map is of 640x480 pixels, the video of 72x48"):
        peak_thumbnails(frames, hot_cell(5, {2: 0.9}, size=(640, 480)), [], heat=HEAT)
    with pytest.raises(UserError, match="count is 0, width 240; a video has at least 1 thumbnail"):
        peak_thumbnails(frames, hot_cell(5, {}), [], count=0)
