"""The last seconds as pictures: which are kept, for how long, in how much memory, as they are displayed."""

from __future__ import annotations

import av
import numpy as np
import pytest

from downstream.detection.live.picture_ring import KeptFrame, PictureRing
from pretrain.data.video import StoredPicture


def kept(number: int, seconds: float, size: int = 1000) -> KeptFrame:
    return KeptFrame(number, seconds, bytes(size), (96, 72))


def test_it_holds_the_last_seconds_and_older_ones_while_asked_to() -> None:
    ring = PictureRing(2.0, 1.0, 10, 640)
    for n in range(50):
        ring.add(kept(n, n / 10))
        if n == 30:
            ring.hold_from(2.0)
    assert [frame.number for frame in ring.between(0, 99)] == list(range(20, 50))
    ring.hold_from(None)
    ring.add(kept(50, 5.0))
    assert [frame.number for frame in ring.between(0, 99)] == list(range(30, 51))
    assert not ring.is_short
    assert ring.bytes == 21_000
    assert ring.nearest(7) == kept(30, 3.0)


def test_a_frame_of_the_very_moment_asked_for_is_held() -> None:
    """1.6 - 1.0 is a little more than 0.6: what `between` finds is not let go before."""
    ring = PictureRing(2.0, 1.0, 10, 640)
    ring.hold_from(1.6 - 1.0)
    for n in range(50):
        ring.add(kept(n, n / 10))
    assert [frame.number for frame in ring.between(1.6 - 1.0, 99)] == list(range(6, 50))


def test_memory_is_a_limit_whatever_is_asked_for() -> None:
    ring = PictureRing(100.0, 0.005, 10, 640)
    ring.hold_from(0.0)
    for n in range(50):
        ring.add(kept(n, n / 10))
        assert ring.bytes <= 5000
    assert len(ring.between(0, 99)) == 5
    assert ring.is_short


def test_nothing_is_not_found() -> None:
    ring = PictureRing(1.0, 1.0, 10, 640)
    assert (ring.nearest(3), ring.newest, ring.between(0, 9)) == (None, None, [])
    assert not ring.wait_until(1.0, 0.01)


def test_frames_are_thinned_scaled_and_turned() -> None:
    """25 a second, a quarter turn, bright where the top left is when it is turned: every second one is kept."""
    pixels = np.zeros((80, 200, 3), np.uint8)
    pixels[40:, :100] = 250  # bottom left as stored; a quarter turn clockwise takes it to the top left
    frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv420p")
    ring = PictureRing(10.0, 1.0, 12.5, 41)
    for n in range(25):
        ring.take(StoredPicture(200, 80, 1, False), frame, n, n / 25 + 0.004 * (n % 3))
    frames = ring.between(0, 9)
    assert [each.number for each in frames] == list(range(0, 25, 2))
    assert frames[0].size == (80, 200)
    picture = frames[0].pixels()
    assert picture.shape == (102, 40, 3)  # even sides, near 41 across
    assert picture[10, 5].mean() > 200 > 60 > picture[-10, -5].mean()


@pytest.mark.parametrize(
    ("fps", "kept_a_second"), [(10, 10), (12.5, 12.5), (25, 12.5), (30, 12.5), (60, 12.5), (15, 12.5)]
)
def test_no_more_are_kept_than_wanted(fps: float, kept_a_second: float) -> None:
    ring = PictureRing(100.0, 1.0, 12.5, 32)
    frame = av.VideoFrame.from_ndarray(np.zeros((16, 32, 3), np.uint8), "rgb24")
    for n in range(round(20 * fps)):
        ring.take(StoredPicture(32, 16, 0, False), frame, n, n / fps)
    assert len(ring.between(0, 99)) == pytest.approx(20 * kept_a_second, abs=2)


@pytest.mark.parametrize("leap", [-5.0, 50.0])
def test_a_clock_that_leaps_keeps_the_next_frame(leap: float) -> None:
    ring = PictureRing(100.0, 1.0, 12.5, 32)
    frame = av.VideoFrame.from_ndarray(np.zeros((16, 32, 3), np.uint8), "rgb24")
    for n, seconds in enumerate((10.0, 10.0 + leap)):
        ring.take(StoredPicture(32, 16, 0, False), frame, n, seconds)
    assert ring.nearest(1).number == 1  # type: ignore[union-attr]
