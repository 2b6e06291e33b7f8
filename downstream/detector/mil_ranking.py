"""MIL ranking: the highest scores of an abnormal video lie a margin above the highest of a normal one."""

from __future__ import annotations

import torch
from torch import Tensor

from downstream.detector.bags import Bags, LossParts, bag_means, num_top, top_mask
from downstream.detector.loss_config import MilRankingConfig


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
