from __future__ import annotations

import numpy as np
import pytest

from downstream.events.boxes import ScoredBox
from downstream.scores.cell_geometry import PixelBox
from downstream.scores.video_scores import make_scores
from downstream.visualisation.pictures import ANNOTATED, DARK, EVENT, FOUND, check_fits, draw_frame, snippet_of
from pretrain.data.video import VideoInfo
from pretrain.errors import UserError
from tests.downstream.visualisation.drawn import boxes_of, hot_cell

GREY = np.full((240, 320, 3), 90, np.uint8)
SIZE = (320, 240)


def rgb(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]


def info(width: int = 72, height: int = 48, num_frames: int = 24) -> VideoInfo:
    return VideoInfo(num_frames, 25.0, width, height, num_frames / 25, "h264", 0, True)


def test_found_boxes_are_solid_annotated_ones_dashed() -> None:
    found = [ScoredBox(0, PixelBox(40, 60, 120, 140), 0.87)]
    out = np.asarray(draw_frame(GREY, None, None, found, [PixelBox(200, 100, 300, 220)], SIZE))
    assert (out[139, 40:120] == rgb(FOUND)).all()
    assert (out[60:140, 40] == rgb(FOUND)).all()
    assert (out[60:140, 119] == rgb(FOUND)).all()
    dashes = out[219, 200:300]
    light, dark = ((dashes == rgb(colour)).all(axis=1) for colour in (ANNOTATED, DARK))
    assert (light | dark).all()
    assert min(light.sum(), dark.sum()) > 30
    assert (out[150:200, 210:290] == 90).all()  # nothing is drawn inside
    assert (out[64:136, 44:116] == 90).all()


def test_a_label_stands_above_its_box_and_inside_where_there_is_no_room() -> None:
    for box, rows in ((PixelBox(40, 60, 120, 140), slice(46, 58)), (PixelBox(40, 0, 120, 140), slice(4, 12))):
        out = np.asarray(draw_frame(GREY, None, None, [ScoredBox(0, box, 0.5)], [], SIZE))
        patch = out[rows, 42:60].reshape(-1, 3)
        assert ((patch == rgb(FOUND)).all(axis=1)).mean() > 0.3
        assert (patch.sum(axis=1) < 200).any()  # dark letters


def test_boxes_follow_the_scale_of_the_frame() -> None:
    doubled = np.full((480, 640, 3), 90, np.uint8)
    out = np.asarray(draw_frame(doubled, None, None, [ScoredBox(0, PixelBox(40, 60, 120, 140), 0.5)], [], SIZE))
    assert (out[120:280, 239] == rgb(FOUND)).all()
    assert (out[120:280, 242:] == 90).all()


def test_the_heat_lies_where_the_cell_is_and_only_there() -> None:
    heat = np.zeros((8, 12), np.float32)
    heat[2, 3] = 1
    out = np.asarray(draw_frame(GREY, heat, (0, 24, 320, 240), [], [], SIZE, style="colours")).astype(int)
    assert np.abs(out[91, 93] - 90).sum() > 100
    assert (out[160:, 160:] == 90).all()
    assert (out[:24] == 45).all()


@pytest.mark.parametrize("grey", [0, 90, 255])
@pytest.mark.parametrize("size", [(320, 240), (60, 48)])
def test_the_frame_of_an_event_is_amber_with_a_dark_inside(grey: int, size: tuple[int, int]) -> None:
    footage = np.full((size[1], size[0], 3), grey, np.uint8)
    out = np.asarray(draw_frame(footage, None, None, [], [], size, in_event=True))
    for side in (out[-1], out[:, 0], out[:, -1], out[0]):
        assert (side == rgb(EVENT)).all()
    middle = size[1] // 2
    assert (out[middle, 4:6] == rgb(DARK)).all()
    assert (out[middle, 6:-6] == grey).all()
    assert (np.asarray(draw_frame(footage, None, None, [], [], size)) == grey).all()


@pytest.mark.parametrize(
    "box",
    [PixelBox(-40, -30, 500, 400), PixelBox(300, 200, 300.2, 200.1), PixelBox(400, 300, 500, 400)],
    ids=["larger than the picture", "less than a pixel", "outside"],
)
def test_any_box_can_be_drawn(box: PixelBox) -> None:
    picture = draw_frame(GREY, None, None, [ScoredBox(0, box, 1.5)], [box], SIZE)
    assert picture.size == SIZE


def test_a_frame_past_the_last_score_belongs_to_the_last_snippet() -> None:
    scores = make_scores("v", [0, 0, 0], [0, 8, 16, 20])
    assert [snippet_of(scores, frame) for frame in (0, 7, 8, 15, 16, 19, 20, 99)] == [0, 0, 1, 1, 2, 2, 2, 2]


def test_all_that_does_not_fit_is_told_at_once() -> None:
    scores = hot_cell(3, {1: 0.9})
    assert check_fits("street.mp4", info(), scores, boxes_of(scores), 0.5) is scores.map
    assert check_fits("street.mp4", info(num_frames=17), scores, boxes_of(scores), 0.5) is scores.map
    with pytest.raises(UserError) as error:
        check_fits("street.mp4", info(64, 48, 16), scores, [[]], float("nan"), [(3, 2)])
    text = str(error.value)
    for part in (
        "cannot draw 'street' over street.mp4",
        "the score map is of 72x48 pixels, the video of 64x48",
        "boxes of 1 snippets, scores of 3; give a list for every snippet",
        "the last snippet begins at frame 16, the video has 16: these are another video's scores",
        "no events of 16 frames: [(3, 2)]; give frames [start, end) of this video",
        "the threshold is nan",
    ):
        assert part in text


def test_scores_without_a_map_and_boxes_fit_too() -> None:
    assert check_fits("street.mp4", info(), make_scores("flat", [0.5], [0, 8]), (), None) is None
