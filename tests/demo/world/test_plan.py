"""Which video shows what."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.world.cameras import FPS
from demo.world.events import ANOMALIES
from demo.world.plan import make_plan


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5), st.integers(2, 24), st.integers(2, 9))
def test_every_plan_separates_cameras_and_balances_labels(seed: int, cameras: int, videos: int) -> None:
    plan = make_plan(seed, cameras, videos)
    assert len({video.name for video in plan}) == len(plan) == cameras * videos
    groups = {split: {video.group for video in plan if video.split == split} for split in ("train", "test")}
    assert groups["train"]
    assert groups["test"] - groups["train"], "no camera is held out"
    for camera in range(cameras):
        labels = [video.label for video in plan if video.camera == camera]
        assert abs(2 * sum(labels) - len(labels)) <= 1
    assert all(12 * FPS <= video.num_frames <= 20 * FPS for video in plan)


def test_default_plan_has_every_class_in_both_splits() -> None:
    plan = make_plan(0, 16, 6)
    for split in ("train", "test"):
        classes = Counter(video.class_name for video in plan if video.split == split)
        assert set(classes) == {"Normal", *ANOMALIES}
        assert classes["Normal"] * 2 == sum(classes.values())
        abnormal = [classes[name] for name in ANOMALIES]
        assert max(abnormal) - min(abnormal) <= 1
    assert 13 <= np.mean([video.num_frames for video in plan]) / FPS <= 15
