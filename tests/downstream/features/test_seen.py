"""Cells lie in the picture where `Encoder.seen` says: by hand, by property, and against pixels."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from downstream.features.encoders import Encoder, EncoderConfig, encoder_of, open_encoder
from downstream.features.pipeline import extract_video
from downstream.features.snippets import SnippetSettings
from downstream.scores.score_map import ScoreMap
from pretrain.backbones import BackboneConfig, build_backbone
from pretrain.data.video import VideoInfo

CPU = torch.device("cpu")
NO_BORDER = (0.0, 0.0, 0.0, 0.0)


def info(width: int, height: int) -> VideoInfo:
    return VideoInfo(64, 25.0, width, height, 2.56, "h264", 0, True)


def sees(height: int, width: int, border: tuple[float, float, float, float] = NO_BORDER) -> Encoder:
    backbone = build_backbone(BackboneConfig(height=height, width=width))
    return encoder_of(EncoderConfig(grid="map"), backbone, border)


@pytest.mark.parametrize(
    ("net", "border", "size", "expected"),
    [
        # scaled to 72x96, of which rows 4 to 68 are seen
        ((64, 96), NO_BORDER, (320, 240), (0, 4 * 240 / 72, 320, 68 * 240 / 72)),
        # 216 rows are left; scaled to 74x96, the border is 7 rows, 66 are left, and of these 64 in the middle seen
        ((64, 96), (0.1, 0, 0, 0), (320, 240), (0, 8 * 240 / 74, 320, 72 * 240 / 74)),
        # scaled to 112x200, of which columns 44 to 156 are seen
        ((112, 112), NO_BORDER, (1280, 720), (44 * 6.4, 0, 156 * 6.4, 720)),
    ],
)
def test_the_part_seen(
    net: tuple[int, int],
    border: tuple[float, float, float, float],
    size: tuple[int, int],
    expected: tuple[float, float, float, float],
) -> None:
    assert sees(*net, border).seen(info(*size)) == pytest.approx(expected)


SHARE = st.floats(0, 0.3)


@settings(max_examples=60)
@given(
    size=st.tuples(st.integers(16, 2000), st.integers(16, 2000)),
    net=st.tuples(st.integers(16, 200), st.integers(16, 200)),
    border=st.tuples(SHARE, SHARE, SHARE, SHARE),
)
def test_the_part_seen_lies_in_the_picture_and_not_in_the_border(
    size: tuple[int, int], net: tuple[int, int], border: tuple[float, float, float, float]
) -> None:
    encoder = _ENCODER
    encoder.clip = dataclasses.replace(encoder.clip, height=net[0], width=net[1])
    encoder.border_crop = border
    (width, height), seen = size, encoder.seen(info(*size))
    ScoreMap(np.zeros((1, 2, 2), np.float32), size, seen)  # refuses a part outside of the picture
    x1, y1, x2, y2 = seen
    down, across = (y2 - y1) / net[0], (x2 - x1) / net[1]  # pixels of the picture in one of the network's
    top, bottom, left, right = border
    slack = 2  # sizes are rounded to even numbers of pixels
    assert y1 >= top * height - slack * down
    assert y2 <= (1 - bottom) * height + slack * down
    assert x1 >= left * width - slack * across
    assert x2 <= (1 - right) * width + slack * across


_ENCODER = sees(32, 48)


def blinking(patch: tuple[int, int, int, int] | None, width: int, height: int) -> np.ndarray:
    """(16, height, width, 3): grey, and a white patch x1, y1, x2, y2 in the first half of the frames."""
    frames = np.full((16, height, width, 3), 110, np.uint8)
    if patch is not None:
        x1, y1, x2, y2 = patch
        frames[:8, y1:y2, x1:x2] = 255
    return frames


def as_images(folder: Path, frames: np.ndarray) -> Path:
    folder.mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number:03d}.png")
    return folder


def as_turned_video(path: Path, frames: np.ndarray) -> Path:
    """Stored lying on its side, with the mark that tells players to turn it."""
    stored = np.ascontiguousarray(np.rot90(frames, 1, axes=(1, 2)))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "5", "preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = stored.shape[1], stored.shape[2], "yuv420p"
        stream.set_display_rotation(-90)
        for frame in stored:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def responding_box(encoder: Encoder, with_patch: Path, without: Path) -> tuple[list[float], ScoreMap]:
    """The pixels of the cells whose features change with the patch, through the whole extraction."""
    features, facts = extract_video(with_patch, encoder, SnippetSettings(), CPU)
    plain, _ = extract_video(without, encoder, SnippetSettings(), CPU)
    assert encoder.grid is not None
    change = np.linalg.norm(features - plain, axis=2).reshape(-1, *encoder.grid)
    where = ScoreMap(change.astype(np.float32), (facts.width, facts.height), encoder.seen(facts))
    # group normalisation moves every cell a little, and those at the edge, where the network pads, by another amount
    (rows, columns), cells = where.edges(), np.zeros(encoder.grid)
    cells[1:-1, 1:-1] = np.maximum(change[0] - np.median(change), 0)[1:-1, 1:-1]
    down, across = (np.flatnonzero(sums > 0.5 * sums.max()) for sums in (cells.sum(axis=1), cells.sum(axis=0)))
    return [columns[across[0]], rows[down[0]], columns[across[-1] + 1], rows[down[-1] + 1]], where


@pytest.mark.parametrize(
    ("net", "border", "size", "patch"),
    [
        ((64, 96), NO_BORDER, (320, 240), (40, 60, 90, 110)),
        ((64, 96), (0.15, 0.05, 0.2, 0.0), (320, 240), (220, 150, 270, 190)),
        ((64, 64), NO_BORDER, (480, 272), (300, 40, 350, 100)),
    ],
)
def test_the_cells_that_hold_a_patch_respond(
    net: tuple[int, int],
    border: tuple[float, float, float, float],
    size: tuple[int, int],
    patch: tuple[int, int, int, int],
    tmp_path: Path,
) -> None:
    """Against pixels: of the fine map of an early stage, where a cell is two pixels of the network's wide."""
    config = EncoderConfig(height=net[0], width=net[1], border_crop=border, grid="map", stage="layers.0")
    encoder = open_encoder(config)
    folders = [as_images(tmp_path / str(n), blinking(p, *size)) for n, p in enumerate((patch, None))]
    found, where = responding_box(encoder, *folders)
    cell = max(np.diff(edges).max() for edges in where.edges())
    np.testing.assert_allclose(found, patch, atol=1.5 * cell)


def test_the_cells_of_a_turned_video_are_those_of_the_picture_as_displayed(tmp_path: Path) -> None:
    patch, encoder = (20, 130, 60, 170), open_encoder(EncoderConfig(height=96, width=64, grid="map", stage="layers.0"))
    videos = [as_turned_video(tmp_path / f"{n}.mp4", blinking(p, 144, 208)) for n, p in enumerate((patch, None))]
    found, where = responding_box(encoder, *videos)
    assert where.size == (144, 208)
    np.testing.assert_allclose(found, patch, atol=1.5 * max(np.diff(edges).max() for edges in where.edges()))


def test_the_hottest_cell_of_a_coarse_grid_holds_the_patch(tmp_path: Path) -> None:
    encoder = open_encoder(EncoderConfig(height=64, width=96, grid=(4, 6)))
    plain = as_images(tmp_path / "plain", blinking(None, 320, 240))
    (x1, y1, x2, y2), rows, columns = encoder.seen(info(320, 240)), 4, 6
    for row, column in ((0, 0), (1, 4), (3, 5), (2, 1)):
        x, y = x1 + (column + 0.5) * (x2 - x1) / columns, y1 + (row + 0.5) * (y2 - y1) / rows
        patch = (round(x - 16), round(y - 16), round(x + 16), round(y + 16))
        shown = as_images(tmp_path / f"{row}{column}", blinking(patch, 320, 240))
        _, where = responding_box(encoder, shown, plain)
        assert divmod(int(where.scores[0].argmax()), columns) == (row, column)
