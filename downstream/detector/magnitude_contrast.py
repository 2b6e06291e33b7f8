"""Base of MGFN: magnitudes of features are alike within a class of videos and unlike between the two."""

from __future__ import annotations

import torch
from torch import Tensor

from downstream.detector.bags import Bags, LossParts, num_top, top_mask
from downstream.detector.loss_config import MagnitudeContrastConfig
from downstream.detector.mil_ranking import mean_over_pairs
from downstream.detector.topk_bce import bag_cross_entropy


def magnitude_contrast(bags: Bags, config: MagnitudeContrastConfig) -> tuple[Tensor, LossParts]:
    """Cross-entropy + `contrast_weight * (within normal + within abnormal + between_weight * between)`.

    m: the L1 norms of a bag's k longest feature vectors, longest first. Within a class: mean over pairs of its bags of
    `|m - m'|^2`; between: mean over pairs of `max(0, margin - |m - m'|)^2`. Cross-entropy: of the mean score of those
    k. [paper] MGFN (Chen et al., AAAI 2023; L1, margin and weights as in the authors' public code). [ours] every pair
    of the batch, where theirs go one to one, halves of a class against each other; a bag of fewer than k instances
    repeats its last; no dropout on the choice of instances. Its smoothness and sparsity are terms of their own here.
    What lacks a class, or a second bag of one, is 0. Parts: the four.
    """
    lengths = torch.linalg.vector_norm(bags.features, dim=-1)
    entropy = bag_cross_entropy(bags, top_mask(lengths, bags.mask, num_top(bags.mask, config.k))).mean()
    magnitudes = longest(bags, lengths, config.k)
    apart = torch.linalg.vector_norm(magnitudes.unsqueeze(1) - magnitudes.unsqueeze(0), dim=2)
    between = mean_over_pairs((config.margin - apart).clamp(min=0).square(), bags.abnormal)
    normal, abnormal = mean_within(apart.square(), ~bags.abnormal), mean_within(apart.square(), bags.abnormal)
    loss = entropy + config.contrast_weight * (normal + abnormal + config.between_weight * between)
    parts = {"bce": entropy, "within_normal": normal, "within_abnormal": abnormal, "between": between}
    return loss, {name: value.detach() for name, value in parts.items()}


def longest(bags: Bags, lengths: Tensor, k: int) -> Tensor:
    """(B, k): L1 norms of the k instances of the greatest `lengths` (B, T), greatest first; the last is repeated."""
    order = lengths.detach().masked_fill(~bags.mask, -torch.inf).argsort(dim=1, descending=True, stable=True)
    last = (bags.mask.sum(dim=1, keepdim=True) - 1).clamp(min=0)
    places = torch.minimum(torch.arange(k, device=order.device).unsqueeze(0), last)
    chosen = order.gather(1, places)
    norms = torch.linalg.vector_norm(bags.features, ord=1, dim=-1)
    return norms.gather(1, chosen)


def mean_within(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean of `values` (B, B) over pairs of two different chosen bags (bool (B,)); 0 where there are none."""
    pairs = chosen.unsqueeze(1) & chosen.unsqueeze(0) & ~torch.eye(len(chosen), dtype=torch.bool, device=chosen.device)
    return torch.where(pairs, values, 0).sum() / pairs.sum().clamp(min=1)
