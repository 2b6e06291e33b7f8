"""What draws from torch's global generator in a step: dropout, stochastic depth."""

from __future__ import annotations

import numpy as np
import torch


def seed_step(seed: int, step: int, process_index: int) -> None:
    """Make the global generator a function of seed, step and process, like every other draw: nothing to save."""
    state = np.random.SeedSequence([seed, step, process_index]).generate_state(1, np.uint64)
    torch.manual_seed(int(state[0]))
