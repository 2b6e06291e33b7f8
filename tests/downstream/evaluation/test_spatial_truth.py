"""Pixels and cells of boxes, against every pixel written out; and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.evaluation.spatial_truth import locate
from downstream.scores.cell_geometry import covered
from downstream.scores.video_scores import make_scores
from pretrain.data.catalogue import Box, Video
from pretrain.errors import UserError
from tests.downstream.boxed_videos import SIZE, boxed_video, frames_of, random_set, scored

ZEROS = np.zeros((3, 3, 4))
NORMAL = Video("n", "n", label=0, num_frames=12)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_counts_are_those_of_every_pixel(seed: int) -> None:
    made = random_set(np.random.default_rng(seed))
    located = {video.name: video for video in locate(made.scores, made.videos)}
    for video in located.values():
        positive, negative = np.zeros((2, 3, *SIZE[::-1]))
        frames = [frame for frame in frames_of(made) if frame.video.name == video.name]
        for frame in frames:
            positive[frame.snippet] += frame.anomalous
            negative[frame.snippet] += ~frame.anomalous
        for pixels, cells, unseen in (
            (positive, video.positive, video.unseen_positive),
            (negative, video.negative, video.unseen_negative),
        ):
            inside = pixels[:, 0:9, 1:13].reshape(3, 3, 3, 4, 3).sum(axis=(2, 4))
            np.testing.assert_allclose(cells, inside, atol=1e-9)
            np.testing.assert_allclose(unseen, pixels.sum(axis=(1, 2)) - inside.sum(axis=(1, 2)), atol=1e-9)
        assert [entry.frame for entry in video.annotated] == [frame.number for frame in frames if frame.boxes]
        assert video.unknown_frames == video.frames - len(frames)


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_cells_are_touched_in_the_frames_that_boxes_touch_them(seed: int) -> None:
    made = random_set(np.random.default_rng(seed))
    for video in locate(made.scores, made.videos):
        touched = np.zeros((3, 3, 4), int)
        for frame in video.annotated:
            touched[frame.snippet] += (covered(frame.boxes, *video.map.edges()) > 0).any(axis=0)
        np.testing.assert_array_equal(video.cell_positive, touched)
        known = [sum(f.video.name == video.name and f.snippet == s for f in frames_of(made)) for s in range(3)]
        np.testing.assert_array_equal(
            video.cell_positive + video.cell_negative, np.reshape(known, (3, 1, 1)) + 0 * touched
        )


def test_a_frame_in_a_span_without_a_box_is_left_out() -> None:
    video = boxed_video("a", [Box(2, 1, 0, 4, 3)])
    (located,) = locate([scored("a", ZEROS)], [video])
    # frames 2 to 8 are in the span, one of them has a box; 13 frames in all, the last held
    assert located.unknown_frames == 6
    assert located.positive[0, 0, 0] == located.positive.sum() == 9
    assert located.negative.sum() + located.unseen_negative.sum() == 7 * SIZE[0] * SIZE[1] - 9


def test_a_box_outside_the_spans_still_counts() -> None:
    (located,) = locate([scored("a", ZEROS)], [boxed_video("a", [Box(0, 0, 0, 14, 9)])])
    assert located.positive[0].sum() + located.unseen_positive[0] == SIZE[0] * SIZE[1]
    assert located.negative[0].sum() + located.unseen_negative[0] == SIZE[0] * SIZE[1]  # frame 1


def test_the_tail_rule_holds_for_boxes() -> None:
    video = boxed_video("a", [Box(12, 1, 0, 4, 3), Box(3, 1, 0, 4, 3)])
    held, dropped = (locate([scored("a", ZEROS)], [video], tail)[0] for tail in ("hold", "drop"))
    assert [entry.snippet for entry in held.annotated] == [0, 2]
    assert [entry.snippet for entry in dropped.annotated] == [0]
    assert (held.frames, dropped.frames) == (13, 12)


def test_boxes_just_past_an_unknown_end_go_with_the_tail() -> None:
    video = dataclasses.replace(boxed_video("a", [Box(3, 0, 0, 4, 3), Box(14, 0, 0, 4, 3)]), num_frames=None)
    (located,) = locate([scored("a", ZEROS)], [video])
    assert [entry.frame for entry in located.annotated] == [3]
    with pytest.raises(UserError, match=r"in frame 15 the box .* is not within the video; there are 12 frames"):
        locate([scored("a", ZEROS)], [dataclasses.replace(video, boxes=(Box(15, 0, 0, 4, 3),))])


def test_all_problems_are_named_at_once() -> None:
    beyond = boxed_video("wide", [Box(3, 2, 1, 15.5, 4), Box(4, 2, 1, 5, 40)])
    late = boxed_video("late", [Box(13, 0, 0, 4, 3), Box(3, 9, 3, 9, 5)])
    bare = boxed_video("bare", [Box(3, 0, 0, 4, 3)])
    videos = [beyond, late, bare, dataclasses.replace(NORMAL, boxes=(Box(5, 0, 0, 4, 3),))]
    entries = [scored("wide", ZEROS), scored("late", ZEROS), scored("n", ZEROS)]
    entries.append(make_scores("bare", [0, 0, 0], [0, 4, 8, 12]))
    with pytest.raises(UserError) as caught:
        locate(entries, videos)
    assert str(caught.value).splitlines() == [
        "5 problem(s) between score maps and boxes:",
        "  - 'wide': in frame 3 the box (2, 1, 15.5, 4) reaches out of a picture of 14x9 pixels; are boxes and video "
        "of one resolution? (and 1 more of its 2 boxes)",
        "  - 'late': in frame 13 the box (0, 0, 4, 3) is not within the video; there are 13 frames",
        "  - 'late': in frame 3 the box (9, 3, 9, 5) has no area within a picture of 14x9 pixels",
        "  - 'bare': scores without a map; only a detector that scores cells can be evaluated on boxes",
        "  - 'n': label 0 (normal), but a box in frame 5",
    ]


def test_a_set_without_boxes_is_refused() -> None:
    with pytest.raises(UserError, match="none of the 2 videos has a box in a frame that counts"):
        locate([scored("a", ZEROS), scored("n", ZEROS)], [boxed_video("a", []), NORMAL])


def test_names_are_checked_as_for_frames() -> None:
    with pytest.raises(UserError, match="'a': a video to evaluate without scores"):
        locate([scored("n", ZEROS)], [boxed_video("a", [Box(3, 0, 0, 4, 3)]), NORMAL])


def test_a_cell_that_a_box_fills_leaves_no_dust() -> None:
    # thirds of pixels: whole less covered would be 1e-15 of a normal pixel, and an AUC of it a figure
    entry = scored("a", np.zeros((3, 7, 7)))
    video = boxed_video("a", [Box(frame, 0, 0, 14, 9) for frame in range(13)], spans=((0, 12),))
    (located,) = locate([entry], [video])
    assert not located.negative.any()
    assert not located.unseen_negative.any()
