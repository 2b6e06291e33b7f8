from __future__ import annotations

import numpy as np
import pytest

from pretext_tasks import ClipGeometry, TemporalOrder

GEOMETRY = ClipGeometry(window_frames=64, clip_frames=8, stride_frames=2)


def gaps(frames: np.ndarray) -> np.ndarray:
    """Frames left out between neighbouring segments once they are sorted in time."""
    steps = np.diff(np.sort(frames))
    return steps[steps > GEOMETRY.stride_frames] - 1


@pytest.mark.parametrize("segments", [3, 4])
def test_both_classes_have_gaps_of_the_same_distribution(segments: int) -> None:
    """Otherwise a seam alone would tell them apart."""
    task, rng = TemporalOrder(segments=segments), np.random.default_rng(0)
    drawn = [
        np.concatenate([gaps(task.sample(GEOMETRY, rng, label).frames[0]) for _ in range(3000)]) for label in (0, 1)
    ]
    assert min(part.min() for part in drawn) >= task.min_gap_frames
    low, high = (np.quantile(part, [0.1, 0.25, 0.5, 0.75, 0.9]) for part in drawn)
    np.testing.assert_allclose(low, high, atol=1.0)


def test_ordered_clips_ascend_and_permuted_ones_are_neither_ordered_nor_reversed() -> None:
    task, rng = TemporalOrder(), np.random.default_rng(1)
    for _ in range(500):
        assert (np.diff(task.sample(GEOMETRY, rng, 0).frames[0]) > 0).all()
        starts = task.sample(GEOMETRY, rng, 1).frames[0][::2]
        order = np.argsort(np.argsort(starts))
        assert order.tolist() not in ([0, 1, 2, 3], [3, 2, 1, 0])


def test_frames_run_forward_inside_every_segment_of_both_classes() -> None:
    task, rng = TemporalOrder(), np.random.default_rng(2)
    for label in (0, 1):
        for _ in range(200):
            segments = task.sample(GEOMETRY, rng, label).frames[0].reshape(4, 2)
            assert (np.diff(segments, axis=1) == GEOMETRY.stride_frames).all()


def test_uneven_segments_have_their_seams_in_the_same_places_in_both_classes() -> None:
    """Three segments of 8 frames are 3, 3 and 2 long: if the lengths moved with the segments, the seams would tell."""
    task, rng = TemporalOrder(segments=3), np.random.default_rng(0)
    for label in (0, 1):
        for _ in range(200):
            steps = np.diff(task.sample(GEOMETRY, rng, label).frames[0])
            assert np.flatnonzero(steps != GEOMETRY.stride_frames).tolist() == [2, 5]


def test_messages() -> None:
    with pytest.raises(ValueError, match=r"tasks.temporal_order.segments is 5; it must be 3 or 4"):
        TemporalOrder(segments=5)
    with pytest.raises(ValueError, match=r"clips of 6 frames hold at most 3 segments .* raise backbone.clip_frames"):
        TemporalOrder().min_window(6, 2)
