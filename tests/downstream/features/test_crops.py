from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.functional import five_crop

from downstream.features.crops import CROPS, MARGIN, crop_boxes, cut_crops, decode_region
from downstream.features.snippets import SnippetSettings, SnippetStream
from pretext_tasks import ClipGeometry, PretextTasks
from pretrain.data.video import IndexCache, VideoInfo, probe
from pretrain.data.windows import Source, WindowReader
from pretrain.errors import UserError
from tests.downstream.features.views import view_of
from tests.pretrain.encoding import encode_video

sizes = st.integers(1, 40)
shares = st.floats(0, 0.45)


def info(height: int, width: int) -> VideoInfo:
    return VideoInfo(100, 25.0, width, height, 4.0, "h264", 0, True)


def test_the_documented_order() -> None:
    five = ("centre", "top_left", "top_right", "bottom_left", "bottom_right")
    assert (CROPS[1], CROPS[5]) == (("centre",), five)
    assert CROPS[10] == (*five, *(f"{name}_mirrored" for name in five))


@given(out=st.tuples(sizes, sizes), room=st.tuples(sizes, sizes), crops=st.sampled_from([1, 5, 10]))
def test_boxes_lie_inside(out: tuple[int, int], room: tuple[int, int], crops: int) -> None:
    height, width = out[0] + room[0], out[1] + room[1]
    boxes = crop_boxes(crops, height, width, *out)
    assert len(boxes) == crops
    for box in boxes:
        assert 0 <= box.y <= height - out[0]
        assert 0 <= box.x <= width - out[1]


@given(height=st.integers(5, 21), width=st.integers(7, 24), seed=st.integers(0, 9))
def test_the_crops_are_torchvisions_of_the_frame_and_of_its_mirror_image(height: int, width: int, seed: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    found = cut_crops(torch.from_numpy(frame)[None], 10, 5, 7)[0]
    for first, picture in ((0, frame), (5, np.ascontiguousarray(frame[:, ::-1]))):
        expected = five_crop(torch.from_numpy(picture).permute(2, 0, 1), [5, 7])
        for name, theirs in zip(CROPS[5][1:], expected[:4], strict=True):
            place = first + CROPS[5].index(name)
            assert torch.equal(found[place].permute(2, 0, 1), theirs), CROPS[10][place]
        y, x = (height - 5) // 2, (width - 7) // 2  # torchvision rounds the centre up or down, we always down
        assert torch.equal(found[first], torch.from_numpy(picture[y : y + 5, x : x + 7].copy()))


@given(width=st.integers(6, 21), seed=st.integers(0, 9))
def test_a_mirrored_crop_of_the_mirrored_video_is_the_plain_crop(width: int, seed: int) -> None:
    frames = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (2, 3, 9, width, 3)).astype(np.uint8))
    plain, mirrored = cut_crops(frames, 10, 5, 6), cut_crops(frames.flip(-2), 10, 5, 6)
    assert torch.equal(mirrored[:, 5:], plain[:, :5])
    assert torch.equal(mirrored[:, :5], plain[:, 5:])


@given(size=st.tuples(st.integers(16, 500), st.integers(16, 500)), border=st.tuples(shares, shares, shares, shares))
def test_a_region_lies_in_the_frame_and_holds_the_crops(
    size: tuple[int, int], border: tuple[float, float, float, float]
) -> None:
    for crops in (1, 10):
        region = decode_region(info(*size), crops, 64, 96, border)
        assert region.y >= 0
        assert region.x >= 0
        assert region.y + region.height <= region.decode_height
        assert region.x + region.width <= region.decode_width
        assert region.height >= round(64 * MARGIN[crops])
        assert region.width >= round(96 * MARGIN[crops])


@pytest.mark.parametrize("border", [(0.0, 0.0, 0.0, 0.0), (0.15, 0.0, 0.05, 0.1)])
def test_the_single_crop_is_what_pretraining_reads(tmp_path: Path, border: tuple[float, float, float, float]) -> None:
    path = str(encode_video(tmp_path / "a.mp4", 3, num_frames=32, height=96, width=160))
    reader = WindowReader(
        tasks=PretextTasks(),
        geometry=ClipGeometry(window_frames=16, clip_frames=8, stride_frames=2),
        height=32,
        width=48,
        border_crop=border,
        motion_floor=1.0,
        reader="pyav",
        index_cache=None,
    )
    source = Source(name="a", path=path, info=probe(path), motion=np.zeros(1, np.float32))
    view = view_of(frames=8, stride=2, height=32, width=48, border_crop=border)
    stream = SnippetStream(path, SnippetSettings(), view, IndexCache(None))
    (chunk,) = stream.chunks()
    found = cut_crops(torch.from_numpy(chunk), 1, 32, 48)[:, 0, 0].numpy()
    np.testing.assert_array_equal(found, reader.read(source, stream.frames[:, 0]))


def test_errors_say_what_there_is() -> None:
    with pytest.raises(UserError, match="crops is 3; there are sets of 1, 5, 10"):
        crop_boxes(3, 10, 10, 5, 5)
    with pytest.raises(UserError, match="a region of 4x10 pixels holds no crop of 5x5"):
        crop_boxes(1, 4, 10, 5, 5)
