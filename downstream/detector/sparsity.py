"""Sparsity: few snippets of an abnormal video are abnormal."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from downstream.detector.bags import Bags, LossParts, mean_over_abnormal
from pretrain.errors import UserError


@dataclass(frozen=True, kw_only=True)
class SparsityConfig:
    """The sparsity term of MIL ranking (Sultani 2018)."""

    weight: float = 0.0
    """Weight of the term in the objective; 0 switches it off, 8e-5 as published."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf:
            raise UserError(
                f"sparsity.weight is {self.weight}; it must be a finite number of 0 or more (8e-5 as published)"
            )


def sparsity(bags: Bags, config: SparsityConfig) -> tuple[Tensor, LossParts]:
    """Sum of the scores of a bag, mean over abnormal bags; not yet times `weight`.

    [paper] Sultani 2018: the sum, on abnormal bags alone. [ours] the mean over bags, so that the batch size does not
    change the weight's meaning. Without an abnormal bag the term is 0.
    """
    per_bag = bags.scores.sum(dim=1)
    loss = mean_over_abnormal(per_bag, bags)
    return loss, {"sparsity": loss.detach()}
