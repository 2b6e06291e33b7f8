"""Frames: the same for the same seed, composed as they should be, moving where they should."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.world.cameras import CLOCK_ROWS
from demo.world.plan import make_plan
from demo.world.render import Filming, blend, build_set
from demo.world.sprites import make_sprite
from tests.demo.world.conftest import Truth


def test_scenes_move_and_hold_still_where_they_should(small_set: Path, truth: Truth) -> None:
    """Local motion in front of a fixed background: most pixels hardly change, some change much."""
    facts = next(iter(truth.values()))
    with av.open(str(small_set / facts["path"])) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)][::15]
    change = np.abs(np.diff(np.stack(frames)[:, CLOCK_ROWS:].astype(int), axis=0))
    assert np.median(change) <= 4
    assert (change > 30).any(axis=(1, 2)).all()


def test_same_seed_same_frames_however_much_was_drawn_before() -> None:
    plan = [video for video in make_plan(5, 4, 3) if video.camera == 1]
    warm = build_set(5, 1)
    other = Filming(warm, plan[0], 5)
    for index in range(30):
        other.frame(index)
    fresh = build_set(5, 1)
    first, second = Filming(warm, plan[1], 5), Filming(fresh, plan[1], 5)
    frames = [(first.frame(index), second.frame(index)) for index in range(40)]
    assert all(np.array_equal(a, b) for a, b in frames)
    assert not np.array_equal(Filming(build_set(6, 1), plan[1], 6).frame(0), frames[0][0])


@settings(max_examples=60, deadline=None)
@given(st.integers(-30, 70), st.integers(-30, 60), st.integers(0, 2**20))
def test_blending_is_alpha_composition_clipped_to_the_frame(x: int, y: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    alpha = rng.uniform(0, 1, (12, 16)).astype(np.float32)
    colour = rng.uniform(16, 235, (3, 12, 16)).astype(np.float32)
    sprite = make_sprite(colour * alpha, alpha, (8, 6), (0, 0, 1, 1))
    luma = rng.integers(16, 236, (40, 50)).astype(np.uint8)
    chroma = rng.integers(16, 240, (2, 20, 25)).astype(np.uint8)
    expected = luma.astype(float)
    for row in range(12):
        for column in range(16):
            at = (y - 6 + row, x - 8 + column)
            if 0 <= at[0] < 40 and 0 <= at[1] < 50:
                a = alpha[row, column]
                expected[at] = (1 - a) * expected[at] + a * colour[0, row, column]
    blend(luma, chroma, sprite, x, y)
    assert np.abs(luma - expected).max() <= 2.0
