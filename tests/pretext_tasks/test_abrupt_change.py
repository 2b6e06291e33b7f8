from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pretext_tasks import AbruptChange, ClipGeometry

GEOMETRY = ClipGeometry(window_frames=64, clip_frames=8, stride_frames=2)


def test_a_spliced_clip_jumps_once_at_its_label() -> None:
    task, rng = AbruptChange(), np.random.default_rng(0)
    for _ in range(1000):
        (frames,), (label,) = task.sample(GEOMETRY, rng, 1)
        beyond = np.diff(frames) - GEOMETRY.stride_frames
        assert np.flatnonzero(beyond).tolist() == [label - 1]
        assert abs(beyond[label - 1]) >= task.min_jump_frames


def test_jumps_go_both_ways_with_the_same_lengths_and_boundaries_are_even() -> None:
    task, rng = AbruptChange(), np.random.default_rng(1)
    samples = [task.sample(GEOMETRY, rng, 1) for _ in range(6000)]
    jumps = np.array([np.diff(frames)[label - 1] - GEOMETRY.stride_frames for (frames,), (label,) in samples])
    assert abs((jumps > 0).mean() - 0.5) < 0.03
    assert abs(np.median(jumps[jumps > 0]) + np.median(jumps[jumps < 0])) <= 2
    shares = np.bincount([label for _, (label,) in samples], minlength=8)[1:] / len(samples)
    np.testing.assert_allclose(shares, 1 / 7, atol=0.02)


def test_a_whole_clip_has_no_jump() -> None:
    sample = AbruptChange().sample(GEOMETRY, np.random.default_rng(0), 0)
    assert sample.labels == 0
    assert (np.diff(sample.frames) == GEOMETRY.stride_frames).all()


def test_loss_against_a_plain_reference() -> None:
    task = AbruptChange(localisation_weight=0.3)
    output = torch.randn(6, 9, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 3, 0, 7, 1, 0])
    parts = task.loss(output, labels)
    for clip, label in enumerate(labels.tolist()):
        detection = F.cross_entropy(output[clip, :2], torch.tensor(int(label > 0)))
        place = 2 * F.cross_entropy(output[clip, 2:], torch.tensor(label - 1)) if label else torch.tensor(0.0)
        torch.testing.assert_close(parts["loss"][clip], detection + 0.3 * place)
        torch.testing.assert_close(parts["localisation"][clip], place)


@pytest.mark.parametrize("times", [1, 2, 4, 8])
def test_the_head_takes_any_length_of_the_feature_map(times: int) -> None:
    head = AbruptChange().head(16, 8)
    assert head(torch.randn(3, 16, times, 2, 2)).shape == (3, 9)


def test_messages() -> None:
    with pytest.raises(ValueError, match=r"tasks.abrupt_change.min_jump_frames is 0; it must be at least 1"):
        AbruptChange(min_jump_frames=0)
