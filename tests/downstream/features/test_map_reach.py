"""What a cell saw: change a pixel, and exactly the cell that claims it moves; what no cell claims moves none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from downstream.features.encoders import Encoder, EncoderConfig, encoder_of
from downstream.features.map_reach import Reach
from downstream.scores.score_map import ScoreMap
from pretrain.backbones import Backbone, BackboneConfig, BackboneSpec, Clip, build_backbone
from pretrain.data.video import VideoInfo
from pretrain.errors import UserError

NO_BORDER = (0.0, 0.0, 0.0, 0.0)
FRAMES = 2


class Patches(nn.Module):
    """Cells of their own pixels alone: convolutions as wide as their stride, one after another.

    `cut` lines are cut off at the top and the left before, `pads`: what does not divide is filled up with zeros.
    """

    def __init__(self, strides: list[int], cut: int = 0, pads: bool = False) -> None:
        super().__init__()
        channels = [3, *[4] * len(strides)]
        self.layers = nn.ModuleList(
            nn.Conv3d(channels[n], 4, (1, stride, stride), (1, stride, stride)) for n, stride in enumerate(strides)
        )
        self.cut, self.pads = cut, pads

    def forward(self, clips: Tensor) -> Tensor:
        clips = clips[..., self.cut :, self.cut :]
        for layer in self.layers:
            step = layer.stride[1]
            if self.pads:
                clips = functional.pad(clips, (0, -clips.shape[4] % step, 0, -clips.shape[3] % step))
            clips = torch.tanh(layer(clips))
        return clips


def encoder_for(net: nn.Module, height: int, width: int) -> Encoder:
    clip = Clip(frames=FRAMES, stride=1, height=height, width=width, mean=(0.5,) * 3, std=(0.25,) * 3)
    with torch.no_grad():
        shape = net(torch.zeros(1, 3, FRAMES, height, width)).shape
    spec = BackboneSpec(name="patches", feature_dim=shape[1], clip=clip, map_size=tuple(shape[2:]))  # type: ignore[arg-type]
    backbone = Backbone(spec, net, lambda own, clips: own(clips))
    return encoder_of(EncoderConfig(grid="map"), backbone, NO_BORDER)


def moved_by(encoder: Encoder, y: int, x: int) -> list[tuple[int, int]]:
    """Cells (row, column) that change with one pixel of the network's input."""
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (1, FRAMES, encoder.clip.height, encoder.clip.width, 3), np.uint8)
    other = clip.copy()
    other[:, :, y, x] = 255 - other[:, :, y, x] // 2
    before, after = (encoder.features(torch.from_numpy(each)) for each in (clip, other))
    assert encoder.grid is not None
    change = (after - before).abs().amax(dim=2).reshape(encoder.grid)
    return [(int(row), int(column)) for row, column in torch.nonzero(change > 0)]


def claimed_by(encoder: Encoder, y: int, x: int) -> list[tuple[int, int]]:
    """Cells whose box holds the pixel, by what is stored of a video whose picture is the network's input."""
    height, width = encoder.clip.height, encoder.clip.width
    info = VideoInfo(16, 25.0, width, height, 0.64, "h264", 0, True)
    assert encoder.grid is not None
    rows, columns = ScoreMap(np.zeros((1, *encoder.grid), np.float32), (width, height), encoder.seen(info)).edges()
    # rounding: an edge may come out a hair before its pixel
    row, column = (int(np.searchsorted(edges, at + 0.5, side="right")) - 1 for edges, at in ((rows, y), (columns, x)))
    is_in = 0 <= row < encoder.grid[0] and 0 <= column < encoder.grid[1]
    return [(row, column)] if is_in else []


@settings(max_examples=60, deadline=None)
@given(
    strides=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    size=st.tuples(st.integers(8, 60), st.integers(8, 60)),
    cut=st.integers(0, 3),
    pads=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_exactly_the_cell_that_claims_a_pixel_moves_with_it(
    strides: list[int], size: tuple[int, int], cut: int, pads: bool, seed: int
) -> None:
    step = int(np.prod(strides))
    # even sizes: others are not decoded at (`covering`); at least two cells
    height, width = (length // 2 * 2 for length in size)
    assume(min(height, width) - cut >= 2 * step and not (cut and pads))
    torch.manual_seed(seed)
    net = Patches(strides, cut, pads)
    try:
        encoder = encoder_for(net, height, width)
    except UserError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:  # only where cells would stand for different numbers of pixels
        assert "its cells are not of one size" in refused
        assert pads
        assert (height - cut) % step or (width - cut) % step
        return
    rng = np.random.default_rng(seed)
    corners = [(0, 0), (height - 1, width - 1), (0, width - 1), (height - 1, 0)]
    places = [*corners, *((int(rng.integers(height)), int(rng.integers(width))) for _ in range(12))]
    for y, x in places:
        assert moved_by(encoder, y, x) == claimed_by(encoder, y, x), (y, x)


def test_a_network_that_cuts_off_so_much_that_the_rest_divides_evenly_is_noticed() -> None:
    torch.manual_seed(0)
    encoder = encoder_for(Patches([2], 3), 8, 8)  # sees lines 3 to 6 in two cells: 8 lines would be 4 each
    assert (encoder.reach.top, encoder.reach.bottom) == (3 / 8, 7 / 8)


def test_what_a_network_drops_at_its_edge_is_not_seen() -> None:
    encoder = encoder_for(Patches([2, 2, 2]), 102, 100)  # 12 rows and columns of 8 pixels
    assert encoder.reach == Reach(0, 0, 96 / 102, 96 / 100)
    seen = encoder.seen(VideoInfo(16, 25.0, 1000, 1020, 0.64, "h264", 0, True))
    assert seen == pytest.approx((0, 0, 960, 960))
    assert moved_by(encoder, 95, 95) == [(11, 11)]
    assert moved_by(encoder, 96, 0) == moved_by(encoder, 0, 96) == moved_by(encoder, 101, 99) == []


@pytest.mark.parametrize(("size", "is_taken"), [(96, True), (128, True), (100, False), (102, False)])
def test_a_real_network_that_halves_without_padding(size: int, is_taken: bool) -> None:
    """100 and 102 are halved to 25, 12, 6 and 3: the last pixels are seen by way of their neighbours at best."""
    backbone = build_backbone(BackboneConfig(name="timm/test_convnext", height=size, width=size, clip_frames=FRAMES))
    if is_taken:
        encoder = encoder_of(EncoderConfig(grid="map"), backbone, NO_BORDER)
        assert encoder.reach == Reach()
        assert moved_by(encoder, 0, 0)
        assert moved_by(encoder, size - 1, size - 1)
        return
    with pytest.raises(UserError, match=rf"has 3 rows for frames of height {size}: .* take a height of 96 or 128"):
        encoder_of(EncoderConfig(grid="map"), backbone, NO_BORDER)


def test_frames_that_do_not_divide_are_refused_with_sizes_that_do() -> None:
    backbone = build_backbone(BackboneConfig(height=100, width=96))
    with pytest.raises(
        UserError, match=r"the map of small3d has 13 rows for frames of height 100: .* height of 96 or 104"
    ):
        encoder_of(EncoderConfig(grid="map"), backbone, NO_BORDER)
    narrow = build_backbone(BackboneConfig(height=64, width=90))
    with pytest.raises(UserError, match=r"has 12 columns for frames of width 90: .* take a width of 88 or 96"):
        encoder_of(EncoderConfig(grid="map"), narrow, NO_BORDER)
    chance = build_backbone(BackboneConfig(name="r3d_18", height=28, width=32, clip_frames=FRAMES))
    with pytest.raises(UserError, match=r"r3d_18 has 2 rows for frames of height 28: .* take a height of 16 or 32"):
        encoder_of(EncoderConfig(grid="map"), chance, NO_BORDER)  # 2 times 14 pixels, but a cell's are 16
    # a whole picture needs no cells
    assert encoder_of(EncoderConfig(), backbone, NO_BORDER).reach == Reach()


def test_a_stage_has_a_reach_of_its_own() -> None:
    backbone = build_backbone(BackboneConfig(name="timm/test_convnext", height=100, width=100, clip_frames=FRAMES))
    finer = encoder_of(EncoderConfig(grid="map", stage="stages.0"), backbone, NO_BORDER)
    assert (finer.grid, finer.reach) == ((25, 25), Reach())
