"""What holds for every task: frames inside the window, the asked class, balance, a pure function of the generator."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pretext_tasks import ClipGeometry, PretextTasks

TASKS = PretextTasks().by_name()


@st.composite
def geometries(draw: st.DrawFn) -> ClipGeometry:
    clip_frames = draw(st.integers(8, 20))
    stride = draw(st.integers(1, 4))
    needed = max(task.min_window(clip_frames, stride) for task in TASKS.values())
    return ClipGeometry(window_frames=needed + draw(st.integers(0, 60)), clip_frames=clip_frames, stride_frames=stride)


@pytest.mark.parametrize("name", TASKS)
@settings(max_examples=60, deadline=None)
@given(geometry=geometries(), seed=st.integers(0, 2**32 - 1))
def test_frames_lie_in_the_window_and_labels_in_range(name: str, geometry: ClipGeometry, seed: int) -> None:
    task = TASKS[name]
    for wanted in (None, *range(task.num_labels)):
        sample = task.sample(geometry, np.random.default_rng(seed), wanted)
        again = task.sample(geometry, np.random.default_rng(seed), wanted)
        assert sample.frames.shape == (task.clips_per_window, geometry.clip_frames)
        assert sample.labels.shape == (task.clips_per_window,)
        assert sample.frames.min() >= 0
        assert sample.frames.max() < geometry.window_frames
        np.testing.assert_array_equal(sample.frames, again.frames)
        counted = np.minimum(sample.labels, 1) if name == "abrupt_change" else sample.labels
        assert set(counted) <= set(range(task.num_labels))
        if wanted is not None and task.clips_per_window == 1:
            assert counted == wanted


@pytest.mark.parametrize("name", TASKS)
def test_classes_are_balanced(name: str) -> None:
    task, rng = TASKS[name], np.random.default_rng(0)
    geometry = ClipGeometry(window_frames=64, clip_frames=8, stride_frames=2)
    labels = np.concatenate([task.sample(geometry, rng).labels for _ in range(4000)])
    counted = np.minimum(labels, 1) if name == "abrupt_change" else labels
    shares = np.bincount(counted, minlength=task.num_labels) / len(labels)
    np.testing.assert_allclose(shares, 1 / task.num_labels, atol=0.03)


@pytest.mark.parametrize("name", TASKS)
def test_the_shortest_window_is_enough_and_one_frame_less_is_not(name: str) -> None:
    task = TASKS[name]
    shortest = task.min_window(8, 2)
    for seed in range(200):
        task.sample(ClipGeometry(window_frames=shortest, clip_frames=8, stride_frames=2), np.random.default_rng(seed))
    if name != "temporal_order":  # temporal_order asks for one frame of play in every gap
        tight = ClipGeometry(window_frames=shortest - 1, clip_frames=8, stride_frames=2)
        with pytest.raises(ValueError, match="high"):
            [task.sample(tight, np.random.default_rng(seed)) for seed in range(200)]


@pytest.mark.parametrize("name", TASKS)
def test_loss_per_clip_falls_when_the_head_is_trained_and_counts_right_answers(name: str) -> None:
    """A head alone, on features that hold the label, learns; a mistake in loss or head would show."""
    task = TASKS[name]
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    head = task.head(16, 8)
    labels = torch.arange(64) % (8 if name == "abrupt_change" else task.num_labels)
    features = torch.randn(64, 16, 4, 2, 2, generator=generator) * 0.1
    for clip, label in enumerate(labels):
        features[clip, label] += 2.0
        if name == "abrupt_change" and label:
            features[clip, 8 + label % 8, :] += 1.0
    optimizer = torch.optim.Adam(head.parameters(), lr=0.02)
    before = None
    for _ in range(150):
        parts = task.loss(head(features), labels)
        assert all(part.shape == (64,) for part in parts.values())
        before = float(parts["loss"].mean().detach()) if before is None else before
        optimizer.zero_grad()
        parts["loss"].mean().backward()
        optimizer.step()
    assert float(parts["loss"].mean().detach()) < 0.5 * before
    assert task.correct(head(features), labels).float().mean() > 0.95
