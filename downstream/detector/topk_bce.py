"""Top-k MIL with cross-entropy: a video's score is the mean of its highest snippet scores."""

from __future__ import annotations

import torch
from torch import Tensor

from downstream.detector.bags import Bags, LossParts, num_top, top_mask
from downstream.detector.loss_config import TopKBCEConfig


def topk_bce(bags: Bags, config: TopKBCEConfig) -> tuple[Tensor, LossParts]:
    """Mean over bags of the binary cross-entropy between a bag's score and its label.

    No single paper: the base of most weakly supervised detectors since about 2020, in the cross-entropy form of
    Wu 2020 (XD-Violence). [ours] loss and gradient stay exact where scores are next to 0 or next to 1
    (`bag_cross_entropy`). Parts: what normal and abnormal bags add to the loss.
    """
    chosen = top_mask(bags.log_scores, bags.mask, num_top(bags.mask, config.k, config.divisor))
    entropy = bag_cross_entropy(bags, chosen)
    loss = entropy.mean()
    abnormal = torch.where(bags.abnormal, entropy, 0).sum().detach() / len(entropy)
    return loss, {"abnormal_bce": abnormal, "normal_bce": loss.detach() - abnormal}


def bag_cross_entropy(bags: Bags, chosen: Tensor) -> Tensor:
    """(B,): cross-entropy of each bag's label and the mean score of its chosen instances (bool (B, T), one or more).

    The mean is taken once of the scores, in logarithms, and once of what they lack to 1: neither is a difference of
    nearly equal numbers, so that a wrong bag keeps its gradient however sure the detector is.
    """
    # expm1 of less than this would vanish under a logarithm
    log_scores = bags.log_scores.clamp(max=-1e-30).masked_fill(~chosen, -torch.inf)
    log_count = chosen.sum(dim=1).to(log_scores.dtype).log()
    log_mean = torch.logsumexp(log_scores, dim=1) - log_count
    lacking = torch.where(chosen, -torch.expm1(log_scores), 0).sum(dim=1)
    return -(bags.labels * log_mean + (1 - bags.labels) * (lacking.log() - log_count))
