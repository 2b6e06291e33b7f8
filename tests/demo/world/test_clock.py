"""The clock burnt into the top of the picture."""

from __future__ import annotations

import numpy as np
import pytest

from demo.world.cameras import CLOCK_ROWS, WIDTH, make_camera
from demo.world.clock import clock_strip
from demo.world.sprites import SpriteShelf


@pytest.mark.parametrize("index", range(12))
def test_clock_stays_in_the_top_rows_and_ticks(index: int) -> None:
    camera = make_camera(0, index)
    shelf = SpriteShelf([], [], camera.light, 0.0)
    now, later = clock_strip(camera, 36000, shelf), clock_strip(camera, 36001, shelf)
    assert now.luma.shape == (CLOCK_ROWS, WIDTH)
    assert now.luma[-1].max() == 0, "ink in the last row: glyphs are cut off"
    assert not np.array_equal(now.luma, later.luma)
