from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pretrain.data.video import VideoInfo, cover_size

SIDES = st.integers(1, 4000)


def info(width: int, height: int) -> VideoInfo:
    return VideoInfo(10, 25.0, width, height, 0.4, "h264", 0, True)


@given(SIDES, SIDES, st.integers(1, 600), st.integers(1, 600))
def test_cover_is_even_covers_and_is_the_smallest(width: int, height: int, asked_h: int, asked_w: int) -> None:
    covered_h, covered_w = cover_size(info(width, height), asked_h, asked_w)
    assert covered_h % 2 == covered_w % 2 == 0
    assert covered_h >= asked_h
    assert covered_w >= asked_w
    scale = max(asked_h / height, asked_w / width)
    assert 0 <= covered_h - height * scale + 1e-3 < 2.01
    assert 0 <= covered_w - width * scale + 1e-3 < 2.01


def test_cover_of_common_sizes() -> None:
    assert cover_size(info(320, 240), 112, 112) == (112, 150)
    assert cover_size(info(240, 320), 112, 112) == (150, 112)
    assert cover_size(info(320, 240), 72, 96) == (72, 96)
    assert cover_size(info(64, 48), 96, 96) == (96, 128)
