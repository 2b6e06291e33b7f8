"""Exhaust has a direction of time."""

from __future__ import annotations

import numpy as np

from demo.world import effects


def test_exhaust_spreads_and_fades() -> None:
    puff = effects.exhaust(np.random.default_rng(0), 100.0, 120.0, -1, 30.0)
    radii, opacities = [], []
    while puff.step():
        radii.append(puff.radius)
        opacities.append(puff.opacity)
    assert radii == sorted(radii)
    assert radii[-1] > 2 * radii[0]
    assert opacities == sorted(opacities, reverse=True)
    assert puff.x < 100
