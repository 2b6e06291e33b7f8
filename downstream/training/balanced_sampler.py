"""Which videos or snippets are the bags of a step: a function of the seed and the step, for any number of processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pretrain.errors import UserError

ORDER, DRAW = 11, 12  # what a generator is for: the second entry of its seed


@lru_cache(maxsize=8)
def epoch_order(seed: int, label: int, epoch: int, count: int) -> NDArray[np.int64]:
    """A permutation of the bags of one class: each of them once per epoch."""
    return np.random.default_rng([seed, ORDER, label, epoch]).permutation(count)


class BalancedSampler:
    """Abnormal and normal ones are each gone through in a random order of their own, epoch by epoch.

    `labels`: 0 or 1 of each; `what` they are. UserError where a class is missing, with `need`: why both are needed,
    and what can be done.
    """

    def __init__(
        self,
        labels: Sequence[int],
        batch_size: int,
        normal_per_abnormal: float,
        seed: int,
        what: str = "videos",
        need: str = "weak supervision needs both classes: check the labels of the catalogue",
    ) -> None:
        self.seed = seed
        self.by_label = [np.flatnonzero(np.asarray(labels) == label) for label in (0, 1)]
        for label, name in enumerate(("normal", "abnormal")):
            if not len(self.by_label[label]):
                raise UserError(f"none of the {len(labels)} training {what} is {name} (label {label}); {need}")
        normal = max(1, round(batch_size * normal_per_abnormal / (1 + normal_per_abnormal)))
        self.counts = (min(normal, batch_size - 1), max(1, batch_size - normal))
        """Normal and abnormal ones of a step."""

    def draw(self, step: int) -> NDArray[np.int64]:
        """Their numbers, the classes mixed evenly, so that the shares of processes are alike."""
        chosen: list[tuple[float, int]] = []
        for label, count in enumerate(self.counts):
            pool = self.by_label[label]
            for place in range(count):
                epoch, position = divmod(step * count + place, len(pool))
                order = epoch_order(self.seed, label, epoch, len(pool))
                chosen.append(((place + 0.5) / count + 1e-6 * label, int(pool[order[position]])))
        return np.array([number for _, number in sorted(chosen)], np.int64)


def share_of(bags: int, rank: int, world_size: int) -> range:
    """Which of the bags of a step are one process's."""
    share = math.ceil(bags / world_size)
    return range(bags)[rank * share : (rank + 1) * share]
