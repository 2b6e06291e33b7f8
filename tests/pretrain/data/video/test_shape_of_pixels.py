"""Pictures as they are displayed: pixels that are not square are made so, by either reader, turned or not."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from pretrain.data.proxy.render import render
from pretrain.data.proxy.settings import ProxySettings
from pretrain.data.video import IndexCache, probe, read_frames, stream_frames
from pretrain.data.video.pyav_reader import Picture, StoredPicture

RATIOS = [(Fraction(4, 3), 85), (Fraction(2, 1), 128), (Fraction(8, 9), 57), (Fraction(640, 639), 64)]
"""Width of a pixel over its height, and columns of a stored picture 64 wide; the last is what scalers leave behind."""


def set_ratio(ratio: Fraction) -> Any:
    return lambda stream: setattr(stream.codec_context, "sample_aspect_ratio", ratio)


@pytest.mark.parametrize(("ratio", "columns"), RATIOS)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_pixels_are_square(name: str, ratio: Fraction, columns: int, encode: Any) -> None:
    path = encode(name, frames=8, prepare=set_ratio(ratio))
    info = probe(path)
    assert (info.width, info.height) == (columns, 48)
    frames = read_frames(path, [0, 5])
    assert frames.shape == (2, 48, columns, 3)
    streamed = {number: picture.copy() for number, picture in stream_frames(path, [0, 5])}
    np.testing.assert_array_equal(frames[1], streamed[5])


def test_it_is_the_picture_stretched_and_nothing_of_it_is_lost(encode: Any, decode_all: Any) -> None:
    path = encode("wide.mp4", size=(64, 96), frames=3, prepare=set_ratio(Fraction(2, 1)))
    stored = decode_all(path)[2].astype(float)
    shown = read_frames(path, [2])[0].astype(float)
    assert shown.shape == (64, 192, 3)
    assert (
        np.abs(shown.reshape(64, 96, 2, 3).mean(axis=2) - stored).mean() < 12
    )  # of blocks with hard edges; another frame is 60 off


def test_before_it_is_turned(encode: Any) -> None:
    def prepare(stream: Any) -> None:
        set_ratio(Fraction(2, 1))(stream)
        stream.set_display_rotation(-90)

    path = encode("turned.mp4", frames=3, prepare=prepare)
    info = probe(path)
    assert (info.width, info.height, info.rotation) == (48, 128, 90)
    assert read_frames(path, [1]).shape == (1, 128, 48, 3)


def test_decord_gives_the_same_shape(encode: Any) -> None:
    pytest.importorskip("decord")
    path = encode("decord.mp4", frames=4, prepare=set_ratio(Fraction(4, 3)))
    ours, theirs = probe(path), probe(path, reader="decord")
    assert (theirs.width, theirs.height) == (ours.width, ours.height) == (85, 48)
    assert read_frames(path, [0], reader="decord").shape == read_frames(path, [0]).shape


def test_a_stream_without_an_index_is_displayed_alike(encode: Any) -> None:
    path = encode("live.mp4", frames=3, prepare=set_ratio(Fraction(4, 3)))
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        picture = Picture(StoredPicture.of_frame(frame, 4 / 3), None).rgb(frame)
    np.testing.assert_array_equal(picture, read_frames(path, [0])[0])


def test_a_proxy_has_square_pixels(encode: Any, tmp_path: Any) -> None:
    path = encode("source.mp4", size=(96, 128), frames=6, prepare=set_ratio(Fraction(4, 3)))
    done = render(str(path), tmp_path / "proxy.mp4", ProxySettings(short_side=48))
    assert (done.height, done.width) == (48, 86)
    assert (probe(tmp_path / "proxy.mp4").width, probe(tmp_path / "proxy.mp4").height) == (86, 48)


def test_an_index_keeps_it(encode: Any, tmp_path: Any) -> None:
    path = encode("kept.mp4", frames=3, prepare=set_ratio(Fraction(2, 1)))
    first = probe(path, cache=IndexCache(tmp_path))
    assert probe(path, cache=IndexCache(tmp_path)) == first
    assert first.width == 128
