"""Crops lie where something moves, in proportion to the motion inside; without any, anywhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.data.motion_crops import box_sums, coarse_motion, crop_on_motion, drawn
from pretrain.data.settings import AugmentConfig
from pretrain.data.transforms import Augmentation, draw_augmentation
from pretrain.errors import UserError

SMALL = AugmentConfig(min_crop_area=0.05, max_crop_area=0.2, crop_at="motion")


def moving(row: int, column: int, noise: int = 0, frames: int = 16) -> np.ndarray:
    """A street of 96x144 pixels; a square of 12 flickers at a place."""
    rng = np.random.default_rng(0)
    clip = np.full((frames, 96, 144, 3), 90, np.uint8) + rng.integers(0, noise + 1, (frames, 96, 144, 3), np.uint8)
    clip[:, row : row + 12, column : column + 12] = rng.integers(0, 255, (frames, 1, 1, 3), np.uint8)
    return clip


def draws(clip: np.ndarray, count: int = 300, config: AugmentConfig = SMALL) -> list[Augmentation]:
    rng = np.random.default_rng(1)
    return [crop_on_motion(clip, draw_augmentation(config, len(clip), rng)) for _ in range(count)]


def overlap(augmentation: Augmentation, row: int, column: int) -> float:
    """Share of the square that the crop holds."""
    x, y, half_width, half_height = augmentation.crop
    left, right = (144 * (x + side * abs(half_width) + 1) / 2 for side in (-1, 1))
    top, bottom = (96 * (y + side * half_height + 1) / 2 for side in (-1, 1))
    width = max(0.0, min(right, column + 12) - max(left, column))
    height = max(0.0, min(bottom, row + 12) - max(top, row))
    return float(width * height / 144)


@pytest.mark.parametrize(("row", "column", "share"), [(0, 0, 0.55), (84, 132, 0.55), (40, 20, 0.8), (10, 100, 0.8)])
@pytest.mark.parametrize("noise", [0, 3])
def test_small_crops_hold_what_moves(row: int, column: int, share: float, noise: int) -> None:
    """In a corner few crops hold all of it, and many a part."""
    shares = [overlap(each, row, column) for each in draws(moving(row, column, noise))]
    assert np.mean(np.array(shares) > 0.5) > share
    anywhere = np.random.default_rng(1)
    plain = [overlap(draw_augmentation(SMALL, 16, anywhere), row, column) for _ in range(300)]
    assert np.mean(np.array(plain) > 0.5) < share / 2


def test_what_moves_lies_anywhere_in_the_crop() -> None:
    offsets = np.array([(126 - 72) / 72 - each.crop[0] for each in draws(moving(40, 120))])
    assert offsets.std() > 0.08  # not always in the middle


def test_without_motion_crops_lie_anywhere() -> None:
    clip = np.full((16, 96, 144, 3), 90, np.uint8)
    rng = np.random.default_rng(1)
    before = [draw_augmentation(SMALL, 16, rng) for _ in range(200)]
    after = [crop_on_motion(clip, each) for each in before]
    for one, other in zip(before, after, strict=True):
        assert np.abs(one.crop[:2] - other.crop[:2]).max() < 0.06  # the step of places
    assert crop_on_motion(clip[:1], before[0]).crop.shape == (4,)  # a single frame moves nowhere


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 84), st.integers(0, 132), st.integers(0, 10_000))
def test_a_crop_keeps_its_size_and_stays_inside(row: int, column: int, seed: int) -> None:
    before = draw_augmentation(SMALL, 4, np.random.default_rng(seed))
    after = crop_on_motion(moving(row, column, frames=4), before)
    np.testing.assert_array_equal(after.crop[2:], before.crop[2:])
    assert (np.abs(after.crop[:2]) <= 1 - np.abs(after.crop[2:]) + 1e-6).all()
    for name in ("colour", "frames", "noise"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    again = crop_on_motion(moving(row, column, frames=4), before)
    np.testing.assert_array_equal(after.crop, again.crop)


def test_the_whole_frame_stays_the_whole_frame() -> None:
    whole = draw_augmentation(AugmentConfig(min_crop_area=1.0), 4, np.random.default_rng(0))
    assert crop_on_motion(moving(0, 0, frames=4), whole) is whole


def test_box_sums_are_those_of_a_slow_loop() -> None:
    values = np.random.default_rng(0).random((7, 9))
    sums = box_sums(values, 3, 4)
    assert sums.shape == (5, 6)
    for row in range(5):
        for column in range(6):
            assert sums[row, column] == pytest.approx(values[row : row + 3, column : column + 4].sum())


def test_places_are_drawn_in_proportion() -> None:
    weights = np.array([0.0, 3.0, 0.0, 1.0])
    picked = [drawn(weights, share) for share in np.linspace(0.001, 0.999, 1000)]
    assert np.bincount(picked, minlength=4).tolist() == pytest.approx([0, 750, 0, 250], abs=2)
    assert drawn(weights, 1.0) == 3


def test_noise_alone_is_no_motion_of_one_place() -> None:
    motion = coarse_motion(moving(40, 60, noise=4))
    inside = motion[14:18, 20:24].sum()
    assert inside > 0.9 * motion.sum()


def test_the_largest_crop_is_not_smaller_than_the_smallest() -> None:
    with pytest.raises(UserError, match=r"augment.max_crop_area is 0\.2; it must lie in \[0\.5, 1\], from augment.min"):
        AugmentConfig(max_crop_area=0.2)
