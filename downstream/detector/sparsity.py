"""Sparsity: few snippets of an abnormal video are abnormal."""

from __future__ import annotations

from torch import Tensor

from downstream.detector.bags import Bags, LossParts, mean_over_abnormal
from downstream.detector.loss_config import SparsityConfig


def sparsity(bags: Bags, config: SparsityConfig) -> tuple[Tensor, LossParts]:
    """Sum of the scores of a bag, mean over abnormal bags; not yet times `weight`.

    [paper] Sultani 2018: the sum, on abnormal bags alone. [ours] the mean over bags, so that the batch size does not
    change the weight's meaning. Without an abnormal bag the term is 0.
    """
    per_bag = bags.scores.sum(dim=1)
    loss = mean_over_abnormal(per_bag, bags)
    return loss, {"sparsity": loss.detach()}
