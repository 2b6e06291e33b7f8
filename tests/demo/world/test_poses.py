"""Gaits have a direction of time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from demo.world.poses import Pose, joints, run, walk


@pytest.mark.parametrize("gait", [walk, run])
def test_the_foot_on_the_ground_moves_backwards(gait: Callable[[float], Pose]) -> None:
    """Stance, the first half of a leg's cycle: relative to the hip the near foot goes from front to back."""
    feet = [joints(gait(u))["near ankle"] for u in np.linspace(0.05, 0.45, 9)]
    assert all(later[0] < earlier[0] for earlier, later in pairwise(feet))
    swing = [joints(gait(u))["near ankle"] for u in np.linspace(0.55, 0.9, 8)]
    assert swing[-1][0] > swing[0][0]
    assert max(ankle[1] for ankle in swing) > max(ankle[1] for ankle in feet[:6]), (
        "the foot is not lifted on its way forward"
    )
