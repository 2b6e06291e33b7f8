"""The README's picture is chosen by its rule, and its words say what was not found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from demo.picture import overlap, tally
from downstream.events.rule import AlarmRule
from downstream.scores.video_scores import make_scores
from pretrain.data.catalogue import Catalogue, Video
from pretrain.errors import UserError
from tests.pretrain.encoding import encode_video

RULE = AlarmRule(threshold=0.5, release=0.5)


@pytest.fixture
def videos(tmp_path: Path) -> Catalogue:
    """Four videos of 64 frames, an anomaly in frames 16 to 32 of three of them."""
    made = []
    for number in range(4):
        path = encode_video(tmp_path / f"v{number}.mp4", number, num_frames=64)
        is_abnormal = number < 3
        spans = ((16, 32),) if is_abnormal else ()
        made.append(
            Video(f"v{number}", str(path), split="test", label=int(is_abnormal), class_name="Fall", spans=spans)
        )
    return Catalogue(tuple(made), "here")


def scored(name: str, hot: list[int]) -> object:
    values = [0.9 if snippet in hot else 0.1 for snippet in range(8)]
    return make_scores(name, values, np.arange(9) * 8)


def test_overlap_of_spans() -> None:
    assert overlap((0, 10), (5, 15)) == pytest.approx(1 / 3)
    assert overlap((0, 10), (10, 20)) == 0.0


def test_the_median_of_what_was_found_is_shown_and_the_rest_is_said(videos: Catalogue) -> None:
    all_scores = [scored("v0", [2, 3]), scored("v1", [2]), scored("v2", [6, 7]), scored("v3", [0])]
    counted = tally(all_scores, videos, RULE)  # type: ignore[arg-type]
    assert (counted.anomalies, len(counted.found), counted.events, counted.false_alarms) == (3, 2, 4, 2)
    assert (counted.typical.video.name, counted.typical.overlap) == ("v0", 1.0)
    assert "Of 3 annotated anomalies its rule found 2; 2 of its 4 events were false alarms." in counted.words
    three = tally([scored("v0", [2, 3]), scored("v1", [2]), scored("v2", [3, 4])], videos, RULE)  # type: ignore[list-item]
    assert (three.typical.video.name, three.typical.overlap) == ("v1", 0.5)


def test_nothing_found_is_no_picture(videos: Catalogue) -> None:
    counted = tally([scored("v0", [6])], videos, RULE)  # type: ignore[list-item]
    with pytest.raises(UserError, match="no annotated anomaly was found: there is no event to show"):
        _ = counted.typical
