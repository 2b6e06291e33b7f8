from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from downstream.events.alarm_level import LevelScale, own_scale
from downstream.scores.video_scores import make_scores
from downstream.visualisation.pictures import FOUND
from downstream.visualisation.strip import GAP, HEAD, MARGIN, WIDTH, highest_event, strip_frames, write_strip
from pretrain.data.catalogue import Box
from pretrain.data.video import read_frames
from pretrain.errors import UserError
from tests.downstream.visualisation.drawn import THRESHOLD, boxes_of, hot_cell
from tests.pretrain.encoding import encode_video


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(1, 20), st.integers(1, 12), st.data())
def test_frames_are_in_the_video_in_order_and_hold_the_peak(
    values: list[float], length: int, columns: int, data: st.DataObject
) -> None:
    scores = make_scores("v", values, np.arange(len(values) + 1) * length)
    num_frames = data.draw(st.integers((len(values) - 1) * length + 1, (len(values) + 2) * length))
    shown = strip_frames(scores, num_frames, THRESHOLD, columns)
    frames = [entry.frame for entry in shown]
    assert 1 <= len(frames) <= columns
    assert frames == sorted(set(frames))
    assert frames[0] >= 0
    assert frames[-1] < num_frames
    (peak,) = [entry.frame for entry in shown if entry.part == "peak"]
    assert peak // length == int(np.argmax(values))
    event = highest_event(scores, THRESHOLD)
    for entry in shown:
        assert (entry.part == "before") == (entry.frame < event.start)
        assert (entry.part == "after") == (entry.frame >= min(event.end, num_frames))


def test_a_long_event_is_shown_from_its_start_to_its_end() -> None:
    scores = make_scores("v", [0, 0, 0, 0.6, 0.7, 0.9, 0.6, 0.6, 0, 0, 0.8, 0], np.arange(13) * 16)
    shown = strip_frames(scores, 200, THRESHOLD, 6)
    assert [tuple(entry) for entry in shown] == [
        (8, "before"), (48, "start"), (87, "peak"), (100, ""), (127, "end"), (167, "after"),
    ]  # fmt: skip


def test_a_short_event_leaves_room_for_what_came_before_and_after() -> None:
    parts = [part for _, part in strip_frames(make_scores("v", [0] * 9 + [0.9] + [0] * 9, range(20)), 19, 0.5, 5)]
    assert parts == ["before", "before", "peak", "after", "after"]
    first = strip_frames(make_scores("v", [0.9, 0, 0, 0, 0, 0], np.arange(7) * 8), 48, 0.5, 4)
    assert [part for _, part in first] == ["peak", "after", "after", "after"]


def test_where_nothing_reaches_the_threshold_the_best_snippet_is_the_event() -> None:
    event = highest_event(make_scores("v", [0.1, 0.3, 0.2], [0, 8, 16, 24]), 0.9)
    assert (event.start, event.end, event.peak_score) == (8, 16, 0.3)


def test_a_strip_is_wide_and_shows_the_found_box_in_the_event_alone(tmp_path: Path) -> None:
    video = encode_video(tmp_path / "street.mp4", 3, num_frames=64)
    scores = hot_cell(8, {3: 0.7, 4: 0.9, 5: 0.8})
    target = tmp_path / "strip.png"
    truth = [Box(frame, 10, 10, 30, 30) for frame in range(24, 40)]
    write_strip(target, str(video), scores, boxes_of(scores), truth, "a $street_", THRESHOLD, columns=5)
    page = np.asarray(Image.open(target).convert("RGB")).astype(int)
    assert page.shape[1] == WIDTH
    tile = (WIDTH - 2 * MARGIN - 4 * GAP) // 5
    solid = np.abs(page[HEAD : HEAD + tile * 48 // 72] - [int(FOUND[at : at + 2], 16) for at in (1, 3, 5)]).sum(axis=2)
    marked = [int((solid[:, x : x + tile] < 9).sum()) for x in MARGIN + np.arange(5) * (tile + GAP)]
    assert [count > 100 for count in marked] == [False, True, True, True, False]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_detector_of_whole_pictures_has_a_strip_of_the_frames_as_they_are(tmp_path: Path) -> None:
    video = encode_video(tmp_path / "street.mp4", 3, num_frames=64)
    scores = make_scores("street", [0.99, 0.999, 0.9999, 0.99999], np.arange(5) * 16)
    target = tmp_path / "strip.png"
    write_strip(target, str(video), scores, (), [], "sure", 0.9999, columns=4)
    page = np.asarray(Image.open(target).convert("RGB")).astype(int)
    tile = (WIDTH - 2 * MARGIN - 3 * GAP) // 4
    height = round(tile * 48 / 72)
    shown = [entry.frame for entry in strip_frames(scores, 64, 0.9999, 4)]
    for place, frame in enumerate(read_frames(video, shown, size=(height, tile))):
        x = MARGIN + place * (tile + GAP)
        assert np.abs(page[HEAD : HEAD + height, x : x + tile] - frame).mean() < 1
    curve = np.abs(page[HEAD + height :] - [0, 0x72, 0xB2]).sum(axis=2) < 60
    levels = [np.flatnonzero(curve[:, x]).mean() for x in (300, 680, 1030, 1400)]
    assert (np.diff(levels) < -15).all()  # a flat line they are not


def test_without_a_calibration_levels_are_told_against_what_lies_below_the_threshold(tmp_path: Path) -> None:
    video = encode_video(tmp_path / "street.mp4", 3, num_frames=64)
    scores = make_scores("street", [0.1, 0.9, 0.9, 0.9], np.arange(5) * 16)  # an event that fills most of the video

    def drawn(name: str, levels: LevelScale | None) -> bytes:
        write_strip(tmp_path / name, str(video), scores, (), [], "long", 0.5, columns=4, levels=levels)
        return (tmp_path / name).read_bytes()

    as_it_comes = drawn("a.png", None)
    assert as_it_comes == drawn("b.png", own_scale(scores.scores, 0.5))
    assert as_it_comes != drawn("c.png", own_scale(scores.scores))


def test_a_strip_without_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="columns is 0; a strip has 1 to 12 frames"):
        write_strip(tmp_path / "a.png", "none.mp4", hot_cell(1, {}), [[]], [], "", 0.5, columns=0)
