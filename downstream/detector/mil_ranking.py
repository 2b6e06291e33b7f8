"""MIL ranking: the highest scores of an abnormal video lie a margin above the highest of a normal one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from downstream.detector.bags import Bags, LossParts, bag_means, num_top, top_mask
from pretrain.errors import UserError


@dataclass(frozen=True, kw_only=True)
class MilRankingConfig:
    """The ranking base (Sultani 2018)."""

    k: int | None = 1
    """Instances whose mean score stands for the bag; 1 is the maximum, as published; None: count // divisor + 1."""
    divisor: int = 16
    """With k None."""
    margin: float = 1.0
    """What the hinge asks for between an abnormal and a normal bag; scores lie in [0, 1]."""

    def __post_init__(self) -> None:
        if self.k is not None and self.k < 1:
            raise UserError(f"mil_ranking.k is {self.k}; it must be 1 or more, or None for count // divisor + 1")
        if self.divisor < 1:
            raise UserError(f"mil_ranking.divisor is {self.divisor}; it must be 1 or more")
        if not 0 < self.margin < math.inf:
            raise UserError(f"mil_ranking.margin is {self.margin}; it must be a finite number above 0 (1 as published)")


def mil_ranking(bags: Bags, config: MilRankingConfig) -> tuple[Tensor, LossParts]:
    """Mean of `max(0, margin - S_abnormal + S_normal)` over every abnormal/normal pair of bags; S: mean of the top k.

    [paper] Real-world Anomaly Detection in Surveillance Videos (Sultani 2018): the hinge on maxima, margin 1; its
    smoothness and sparsity are terms of their own here. [ours] all pairs of the batch, where the published objective
    pairs bags one to one (so neither the bags' order nor equal numbers matter); the mean of the top k for k > 1.
    Without an abnormal or a normal bag there is no pair and the loss is 0.
    """
    scores = bag_means(bags.scores, top_mask(bags.log_scores, bags.mask, num_top(bags.mask, config.k, config.divisor)))
    hinge = (config.margin - scores.unsqueeze(1) + scores.unsqueeze(0)).clamp(min=0)
    loss = mean_over_pairs(hinge, bags.abnormal)
    return loss, {"ranking": loss.detach()}


def mean_over_pairs(values: Tensor, abnormal: Tensor) -> Tensor:
    """Mean of `values` (B, B) over the pairs (abnormal row, normal column); 0 when there are none.

    `abnormal`: bool (B,).
    """
    pairs = abnormal.unsqueeze(1) & ~abnormal.unsqueeze(0)
    return torch.where(pairs, values, 0).sum() / pairs.sum().clamp(min=1)
