"""Snippets of several cameras through one network: the features of each alone, whoever is in company."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from downstream.detection.live.cameras.network import SharedNetwork, _Request, encode_together
from downstream.features.encoders import Encoder
from downstream.features.encoding import encode_snippets
from tests.downstream.detection.live.models import small_encoder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return small_encoder()


def clips(seed: int, count: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (1, count, 8, 32, 48, 3), dtype=np.uint8)


def test_each_gets_its_own_features(encoder: Encoder) -> None:
    wide = np.random.default_rng(3).integers(0, 255, (1, 1, 8, 32, 60, 3), dtype=np.uint8)  # another camera's shape
    pixels = [clips(0), wide, clips(1, count=2), clips(2)]
    requests = [_Request(pixels=own, encoder=encoder, crops=1, device=CPU, mask=None) for own in pixels]
    for own, found in zip(pixels, encode_together(requests), strict=True):
        np.testing.assert_allclose(found, encode_snippets(own, encoder, 1, CPU), rtol=1e-4, atol=1e-5)


def test_those_that_wait_are_the_next_batch(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    is_held, sizes = threading.Event(), []
    features = encoder.features

    def slow(batch: torch.Tensor) -> torch.Tensor:
        sizes.append(len(batch))
        if len(sizes) == 1:
            assert is_held.wait(30)
        return features(batch)

    monkeypatch.setattr(encoder, "features", slow)
    with SharedNetwork() as network, ThreadPoolExecutor(6) as threads:
        work = [threads.submit(network.encode, clips(0), encoder, 1, CPU, None)]
        while not sizes:
            pass
        work += [threads.submit(network.encode, clips(seed), encoder, 1, CPU, None) for seed in range(1, 6)]
        while len(network._waiting) < 5:
            pass
        is_held.set()
        found = [each.result() for each in work]
    assert sizes == [1, 5]
    assert (network.batches, network.snippets) == (2, 6)
    np.testing.assert_allclose(found[3], encode_snippets(clips(3), encoder, 1, CPU), rtol=1e-4, atol=1e-5)


def test_an_error_reaches_who_waits_and_no_one_else(encoder: Encoder) -> None:
    with SharedNetwork() as network:
        with pytest.raises(RuntimeError):
            network.encode(clips(0)[..., :1], encoder, 1, CPU, None)  # no colours
        assert network.encode(clips(0), encoder, 1, CPU, None).shape == (1, 1, encoder.dim)
    with pytest.raises(RuntimeError, match="closed"):
        network.encode(clips(0), encoder, 1, CPU, None)
