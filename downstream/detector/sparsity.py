"""Sparsity: few snippets of an abnormal video are abnormal."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from downstream.detector.bags import Bags, LossParts, check_weight, mean_over_abnormal


@dataclass(frozen=True, kw_only=True)
class SparsityConfig:
    """The sparsity term of MIL ranking (Sultani 2018)."""

    weight: float = 0.0
    """Weight of the term in the objective; 0 switches it off, 8e-5 as published."""

    def __post_init__(self) -> None:
        check_weight("sparsity", self.weight, "8e-5")


def sparsity(bags: Bags, config: SparsityConfig) -> tuple[Tensor, LossParts]:
    """Sum of the scores of a bag, mean over abnormal bags; not yet times `weight`.

    [paper] Sultani 2018: the sum, on abnormal bags alone. [ours] the mean over bags, so that the batch size does not
    change the weight's meaning. Without an abnormal bag the term is 0.
    """
    per_bag = bags.scores.sum(dim=1)
    loss = mean_over_abnormal(per_bag, bags)
    return loss, {"sparsity": loss.detach()}
