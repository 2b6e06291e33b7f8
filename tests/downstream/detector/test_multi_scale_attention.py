"""RTFM's encoder: against numpy, and where its parts look."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from downstream.detector.multi_scale_attention import MultiScaleAttention, NonLocal

LENGTHS = (9, 1, 4)
MASK = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS).unsqueeze(1)


def an_encoder(width: int = 8) -> MultiScaleAttention:
    torch.manual_seed(0)
    net = MultiScaleAttention(width, 0.7).double()
    for parameter in net.parameters():  # its attention begins at 0, by which nothing would be seen of it
        torch.nn.init.normal_(parameter, std=0.5)
    net(torch.randn(3, 9, width, dtype=torch.float64), MASK)  # running means that are not 0 and 1
    return net.eval()


def array(value: torch.Tensor | None) -> NDArray[np.float64]:
    assert value is not None
    return value.detach().numpy()


def normed(net: torch.nn.Module, values: NDArray[np.float64]) -> NDArray[np.float64]:
    mean, variance, scale, shift = (
        array(getattr(net, name)) for name in ("running_mean", "running_variance", "scale", "shift")
    )
    return (values - mean) / np.sqrt(variance + 1e-5) * scale + shift


def convolved(layer: torch.nn.Module, values: NDArray[np.float64], dilation: int) -> NDArray[np.float64]:
    """ReLU of a convolution over three snippets so far apart, then batch norm; zeros beyond both ends."""
    weights = array(layer.weigh.weight)  # (out, in, 3)
    out = np.zeros((len(values), len(weights)))
    for t in range(len(values)):
        for tap in range(3):
            s = t + (tap - 1) * dilation
            if 0 <= s < len(values):
                out[t] += weights[:, :, tap] @ values[s]
    if layer.weigh.bias is not None:
        out += array(layer.weigh.bias)
    return normed(layer.norm, np.maximum(out, 0))


def attended(net: NonLocal, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """`x + norm(W (theta phi^T / N) g)`, the product from the left as published."""
    theta, phi, g = (values @ array(p.weight).T + array(p.bias) for p in (net.theta, net.phi, net.g))
    said = (theta @ phi.T / len(values)) @ g
    return values + normed(net.norm, said @ array(net.back.weight).T + array(net.back.bias))


def test_equals_numpy_on_each_video_alone() -> None:
    net = an_encoder()
    features = torch.randn(3, 9, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = net(features.masked_fill(~MASK.unsqueeze(2), 1e6), MASK)
    for row, length in enumerate(LENGTHS):
        own = array(features[row, :length])
        pyramid = [convolved(layer, own, dilation) for layer, dilation in zip(net.pyramid, (1, 2, 4), strict=True)]
        whole = attended(net.attention, np.maximum(own @ array(net.narrow.weight).T, 0))
        expected = own + convolved(net.fuse, np.concatenate([*pyramid, whole], axis=1), 1)
        np.testing.assert_allclose(array(found[row, :length]), expected, rtol=1e-9, atol=1e-9)


def test_without_its_attention_it_reaches_four_and_one_snippets() -> None:
    net = an_encoder()
    torch.nn.init.zeros_(net.attention.norm.scale)
    torch.nn.init.zeros_(net.attention.norm.shift)
    features = torch.randn(1, 21, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    other = features.clone()
    other[0, 10] += 1
    mask = torch.ones(1, 21, dtype=torch.bool)
    moved = (net(features, mask) - net(other, mask)).abs().amax(dim=2)[0] > 1e-12
    assert moved.nonzero().flatten().sub(10).abs().max() == 5


def test_the_attention_begins_as_nothing_as_published() -> None:
    net = NonLocal(6)
    values = torch.randn(2, 5, 6)
    assert torch.equal(net(values, torch.ones(2, 5, dtype=torch.bool)), values)
