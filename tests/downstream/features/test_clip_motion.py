"""Motion of clips against a slow loop, and as the last number of every encoder's vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from downstream.features.clip_motion import log_motion
from downstream.features.encoders import EncoderConfig, open_encoder
from downstream.features.feature_spec import NOISE_FLOOR
from downstream.features.normalising import Normalise, normalised


def clips(count: int, frames: int = 8, height: int = 32, width: int = 48) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, frames, height, width, 3), generator=generator, dtype=torch.uint8)


def by_hand(clip: torch.Tensor) -> float:
    grey = clip.double().numpy().mean(axis=3)
    return float(np.log(np.abs(np.diff(grey, axis=0)).mean() + NOISE_FLOOR))


def test_it_is_the_mean_difference_of_frames_of_the_picture_and_of_every_cell() -> None:
    some = clips(3)
    assert log_motion(some)[:, 0].tolist() == pytest.approx([by_hand(clip) for clip in some], abs=1e-5)
    cells = log_motion(some, (2, 3))
    assert cells.shape == (3, 6, 1)
    for row in range(2):
        for column in range(3):
            part = some[1, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
            assert float(cells[1, 3 * row + column, 0]) == pytest.approx(by_hand(part), abs=1e-5)


def test_a_still_clip_and_a_single_frame_have_the_floor() -> None:
    still = clips(1)[:, :1].repeat(1, 8, 1, 1, 1)
    assert log_motion(still).tolist() == pytest.approx(np.log([[NOISE_FLOOR]]))
    assert log_motion(clips(2, frames=1), (2, 2)).shape == (2, 4, 1)


@pytest.mark.parametrize("grid", [None, (2, 3)])
def test_it_is_the_last_number_of_a_vector(grid: tuple[int, int] | None) -> None:
    config = {"height": 32, "width": 48, "grid": grid}
    with_it, without = (open_encoder(EncoderConfig(motion=motion, **config)) for motion in (True, False))
    assert (with_it.dim, without.dim) == (129, 128)
    some = clips(2)
    vectors = with_it.features(some)
    torch.testing.assert_close(vectors[..., :-1], without.features(some))
    torch.testing.assert_close(vectors[..., -1:], log_motion(some, grid))


def test_settings_written_before_there_was_motion_mean_none() -> None:
    values = EncoderConfig().as_json()
    assert EncoderConfig.from_json(values).motion
    del values["motion"]
    assert not EncoderConfig.from_json(values).motion


@pytest.mark.parametrize("how", ["none", "l2", "layer", "video", "place"])
def test_no_normalising_touches_it(how: Normalise) -> None:
    features = np.random.default_rng(0).normal(2, 3, (7, 2, 5)).astype(np.float32)
    found = normalised(features, how, motion=True)
    assert np.array_equal(found[..., -1], features[..., -1])
    np.testing.assert_allclose(found[..., :-1], normalised(features[..., :-1], how))
