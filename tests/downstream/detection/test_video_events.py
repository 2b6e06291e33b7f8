"""Events of a scored video and their boxes: by the rule, within the video, in every snippet of an event."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.detection.video_events import find_video_events
from downstream.events.finder import find_events
from downstream.features.zones import Point, Zone, Zones
from tests.downstream.detection.made import FPS, LENGTH, SIZE, detection, make_rule, of_cells

number = st.floats(0, 1)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(-15, 15), number, number)
def test_events_have_boxes_in_every_snippet_and_nowhere_else(
    seed: int, snippets: int, more: int, high: float, low: float
) -> None:
    values = np.random.default_rng(seed).random((snippets, 2, 3)) ** 2
    frames, rule = max(1, snippets * LENGTH + more), make_rule(max(high, low, 1e-6), min(high, low))
    scored = of_cells(values, frames)
    assert scored.scores is not None
    video = find_video_events(scored, rule)
    expected = [replace(event, end=min(event.end, frames)) for event in find_events(scored.scores, rule, FPS)]
    assert list(video.events) == expected
    inside = np.zeros(snippets, bool)
    for event in video.events:
        inside[event.start // LENGTH : math.ceil(event.end / LENGTH)] = True
    for snippet, boxes in enumerate(video.boxes):
        assert bool(boxes) == inside[snippet]
        for box in boxes:
            assert rule.release <= box.score <= scored.scores.scores[snippet]
            assert 0 <= box.box.x1 < box.box.x2 <= SIZE[0]
            assert 0 <= box.box.y1 < box.box.y2 <= SIZE[1]


def test_what_goes_past_the_end_of_the_video_is_cut_there() -> None:
    video = find_video_events(of_cells(np.full((1, 2, 3), 0.9), 7), make_rule(0.5))  # shorter than a snippet
    (event,) = video.record.events
    assert (event.start_frame, event.end_frame, event.end_seconds) == (0, 7, 0.28)
    assert event.boxes is not None
    (box,) = event.boxes
    assert (box.start_frame, box.end_frame, box.corners) == (0, 7, [0.0, 0.0, 96.0, 48.0])
    assert event.peak_box == box
    assert video.spans == [(0, 7)]


def test_an_event_names_the_zones_that_its_highest_box_reaches_into() -> None:
    """Cells of 32x24 in a picture of 96x48: two bottom ones are hot, and the left of them the most."""
    halves = {"street": (0.0, 0.4), "yard": (0.4, 1.0)}
    zones = Zones(
        zones=(
            *(Zone(name=name, kind="include", polygon=corners(*sides)) for name, sides in halves.items()),
            Zone(name="tree", kind="exclude", polygon=corners(0.9, 1.0)),
        )
    )
    values = np.full((2, 2, 3), 0.1)
    values[1, 1, :2] = 0.9
    scored = of_cells(values, 32)
    (event,) = find_video_events(scored, make_rule(0.5), zones=zones).record.events
    assert event.zones == ("street", "yard")  # 0.4 and 0.27 of the picture's width
    values[1, 1, 0] = 0.1
    (event,) = find_video_events(of_cells(values, 32), make_rule(0.5), zones=zones).record.events
    assert event.zones == ("yard", "street")
    assert event.as_json()["zones"] == ["yard", "street"]
    assert scored.scores is not None
    whole = scored._replace(scores=replace(scored.scores, map=None))
    (event,) = find_video_events(whole, make_rule(0.5), zones=zones).record.events
    assert event.zones == ("street", "yard"), "of whole pictures nobody knows where"
    (event,) = find_video_events(whole, make_rule(0.5)).record.events
    assert event.zones is None
    assert "zones" not in event.as_json()


def corners(left: float, right: float) -> tuple[Point, ...]:
    return Point(left, 0), Point(right, 0), Point(right, 1), Point(left, 1)


def test_the_record_says_what_is_known_of_the_video() -> None:
    record = detection("é/x", [0.1, 0.7], 40).record
    assert (record.name, record.path, record.fps, record.num_frames, record.seconds) == ("é/x", "é/x.mp4", FPS, 40, 1.6)
    assert (record.num_snippets, record.highest_score, record.live) == (2, 0.7, None)
    (event,) = record.events
    assert (event.number, event.kind, event.boxes, event.peak_box) == (1, "ended", None, None)


def test_boxes_are_in_the_pixels_of_their_own_frame() -> None:
    """The picture grows in the middle of the second snippet: its box comes in two pieces, each of its frames' size."""
    scored = of_cells(np.full((3, 2, 3), 0.9), 3 * LENGTH)
    assert scored.info is not None
    change, (width, height) = LENGTH + 4, SIZE
    info = replace(scored.info, other_sizes=((change, 2 * width, 3 * height),))
    (event,) = find_video_events(scored._replace(info=info), make_rule(0.5)).record.events
    assert event.boxes is not None
    small, large = [0.0, 0.0, width, height], [0.0, 0.0, 2.0 * width, 3.0 * height]
    assert [(box.start_frame, box.end_frame, box.corners) for box in event.boxes] == [
        (0, LENGTH, small),
        (LENGTH, change, small),
        (change, 2 * LENGTH, large),
        (2 * LENGTH, 3 * LENGTH, large),
    ]
    assert event.peak_box == event.boxes[0]
