"""Which points, pixels and cells count, and that motion is counted in these alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from downstream.features.clip_motion import log_motion
from downstream.features.crops import decode_region
from downstream.features.zones import Kind, PictureMask, Point, Zone, Zones, picture_mask
from pretrain.data.video import VideoError, VideoInfo

INFO = VideoInfo(0, 25.0, 96, 64, 0.0, "h264", 0, False)
NO_BORDER = (0.0, 0.0, 0.0, 0.0)


def zone(kind: Kind, *corners: tuple[float, float]) -> Zone:
    return Zone(name=kind, kind=kind, polygon=tuple(Point(*corner) for corner in corners))


def rectangle(kind: Kind, x1: float, y1: float, x2: float, y2: float) -> Zone:
    return zone(kind, (x1, y1), (x2, y1), (x2, y2), (x1, y2))


def mask_of(zones: Zones) -> PictureMask:
    mask = picture_mask(zones, INFO, decode_region(INFO, 1, 64, 96, NO_BORDER), 1, (64, 96), (0.45, 0.45, 0.45))
    assert mask is not None
    return mask


def test_a_polygon_may_be_concave() -> None:
    letter = zone("include", (0, 0), (1, 0), (1, 0.25), (0.25, 0.25), (0.25, 1), (0, 1))  # an L, upside down
    x, y = np.array([0.1, 0.9, 0.9, 0.1, 0.5]), np.array([0.1, 0.1, 0.9, 0.9, 0.5])
    assert letter.holds(x, y).tolist() == [True, True, False, True, False]


def test_what_is_excluded_is_cut_out_of_what_is_included() -> None:
    holed = Zones(zones=(rectangle("exclude", 0.4, 0, 0.6, 1), rectangle("include", 0, 0, 1, 0.5)))
    pixels = holed.pixels(10, 10)
    assert pixels[:5].mean(axis=0).tolist() == [1, 1, 1, 1, 0, 0, 1, 1, 1, 1]
    assert not pixels[5:].any()
    alone = Zones(zones=(rectangle("exclude", 0.4, 0, 0.6, 1),))  # no include: all the rest counts
    assert alone.pixels(10, 10).all(axis=0).tolist() == [True] * 4 + [False] * 2 + [True] * 4


@pytest.mark.parametrize(("share", "counts"), [(0.25, [True, True]), (0.5, [True, False]), (1.0, [False, False])])
def test_a_cell_counts_when_enough_of_it_lies_inside(share: float, counts: list[bool]) -> None:
    zones = Zones(zones=(rectangle("include", 0.2, 0, 0.7, 1),), cell_share=share)  # 0.6 of the first, 0.4 of the other
    assert zones.cells(np.array([0, 1.0]), np.array([0, 0.5, 1.0]))[0].tolist() == counts


def test_motion_is_counted_inside_alone() -> None:
    mask = mask_of(Zones(zones=(rectangle("include", 0, 0, 0.25, 1),)))
    clips = np.random.default_rng(0).integers(0, 255, (2, 4, 64, 96, 3), dtype=np.uint8)
    hidden = torch.from_numpy(mask.hidden(clips))
    found = mask.motion(log_motion(hidden)[:, 0], torch.zeros(2, dtype=torch.int64))
    expected = log_motion(torch.from_numpy(clips[:, :, :, :24]))[:, 0]  # of the part by itself
    torch.testing.assert_close(found, expected)
    assert (hidden[:, :, :, 24:] == round(255 * 0.45)).all()
    assert (hidden[:, :, :, :24].numpy() == clips[:, :, :, :24]).all()


def test_zones_that_hold_all_of_it_hide_nothing() -> None:
    region = decode_region(INFO, 1, 64, 96, NO_BORDER)
    whole = Zones(zones=(rectangle("include", 0, 0, 1, 1),))
    assert picture_mask(whole, INFO, region, 1, (64, 96), (0.45,) * 3) is None


def test_zones_that_leave_nothing_are_refused() -> None:
    nothing = Zones(zones=(rectangle("include", 0, 0, 0.5, 1), rectangle("exclude", 0, 0, 1, 1)))
    with pytest.raises(VideoError, match="leave nothing of what the detector sees in a picture of 96x64 pixels"):
        mask_of(nothing)
