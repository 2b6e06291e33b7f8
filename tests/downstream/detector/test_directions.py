from __future__ import annotations

import torch

from downstream.detector.directions import unit_vectors


def test_unit_vectors_of_nothing_have_no_gradient() -> None:
    vectors = torch.tensor([[0.0, 0.0], [1e-9, 0.0], [3.0, 4.0]], requires_grad=True)
    units = unit_vectors(vectors)
    units.sum().backward()
    torch.testing.assert_close(units.detach(), torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.6, 0.8]]))
    assert vectors.grad is not None
    assert not vectors.grad[:2].any()
    assert torch.isfinite(vectors.grad).all()
