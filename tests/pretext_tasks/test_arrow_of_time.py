from __future__ import annotations

import numpy as np

from pretext_tasks import ArrowOfTime, ClipGeometry

GEOMETRY = ClipGeometry(window_frames=64, clip_frames=8, stride_frames=2)


def test_every_window_gives_a_clip_and_its_reverse() -> None:
    sample = ArrowOfTime().sample(GEOMETRY, np.random.default_rng(3))
    assert sample.labels.tolist() == [0, 1]
    np.testing.assert_array_equal(sample.frames[0][::-1], sample.frames[1])
    assert (np.diff(sample.frames[0]) == GEOMETRY.stride_frames).all()


def test_starts_cover_the_window() -> None:
    rng = np.random.default_rng(0)
    starts = {int(ArrowOfTime().sample(GEOMETRY, rng).frames[0, 0]) for _ in range(2000)}
    assert starts == set(range(GEOMETRY.window_frames - GEOMETRY.clip_span + 1))
