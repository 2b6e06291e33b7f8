from __future__ import annotations

import numpy as np
import pytest

from pretext_tasks import ClipGeometry, Speed

GEOMETRY = ClipGeometry(window_frames=80, clip_frames=8, stride_frames=2)


def test_the_label_is_the_stride() -> None:
    task, rng = Speed(), np.random.default_rng(0)
    for label, stride in enumerate(task.strides):
        assert (np.diff(task.sample(GEOMETRY, rng, label).frames[0]) == stride).all()


def test_clip_centres_are_distributed_alike_for_every_stride() -> None:
    """Otherwise where in the window a clip lies would tell its speed."""
    task, rng = Speed(), np.random.default_rng(0)
    centres = [
        np.array([task.sample(GEOMETRY, rng, label).frames[0].mean() for _ in range(3000)]) for label in range(4)
    ]
    for drawn in centres[1:]:
        assert abs(drawn.mean() - centres[0].mean()) < 0.8
        assert abs(drawn.std() - centres[0].std()) < 0.5


@pytest.mark.parametrize("strides", [(1,), (2, 1), (0, 1), (1, 1)])
def test_strides_must_ascend(strides: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"tasks.speed.strides is .* at least two ascending strides"):
        Speed(strides=strides)
