"""Entropy: within a snippet of an abnormal video, the score sits in few cells instead of many at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from downstream.detector.bags import Bags, LossParts, mean_over_abnormal, score_maps
from downstream.detector.loss_config import EntropyConfig


def entropy(bags: Bags, config: EntropyConfig) -> tuple[Tensor, LossParts]:
    """Entropy of where in the picture the score is, over its highest possible value; mean over abnormal bags.

    [ours] against the weakness that the authors of spatiotemporal detection name (arXiv 2605.13746): several regions
    fire at once. The scores of a snippet's cells, divided by their sum, are a distribution: its entropy over
    log(cells) lies in [0, 1]. Snippets count by their highest score, which carries no gradient here: where nothing
    fires, nothing is to be sharpened. Without cells, or without an abnormal bag, the term is 0.
    """
    maps = score_maps(bags).flatten(2)  # (B, snippets, cells)
    cells = maps.shape[2]
    if cells == 1:
        return maps.sum() * 0, {"entropy": maps.new_zeros(())}
    shares = maps / maps.sum(dim=2, keepdim=True).clamp(min=1e-12)
    spread = -torch.special.xlogy(shares, shares.clamp(min=1e-12)).sum(dim=2) / math.log(cells)
    weight = maps.detach().amax(dim=2)
    per_bag = (spread * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1e-12)
    loss = mean_over_abnormal(per_bag, bags)
    return loss, {"entropy": loss.detach()}
