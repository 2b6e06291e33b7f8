from __future__ import annotations

import numpy as np

from pretext_tasks import ArrowOfTime, ClipGeometry

GEOMETRY = ClipGeometry(window_frames=64, clip_frames=8, stride_frames=2)


def test_backward_is_the_reverse_of_forward() -> None:
    forward = ArrowOfTime().sample(GEOMETRY, np.random.default_rng(3), 0).frames
    backward = ArrowOfTime().sample(GEOMETRY, np.random.default_rng(3), 1).frames
    np.testing.assert_array_equal(forward[::-1], backward)
    assert (np.diff(forward) == GEOMETRY.stride_frames).all()


def test_starts_cover_the_window() -> None:
    rng = np.random.default_rng(0)
    starts = {int(ArrowOfTime().sample(GEOMETRY, rng, 0).frames[0]) for _ in range(2000)}
    assert starts == set(range(GEOMETRY.window_frames - GEOMETRY.clip_span + 1))
