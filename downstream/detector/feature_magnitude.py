"""RTFM-style base: abnormal snippets have long feature vectors, normal ones short ones."""

from __future__ import annotations

import torch
from torch import Tensor

from downstream.detector.bags import Bags, LossParts, bag_means, num_top, top_mask
from downstream.detector.loss_config import FeatureMagnitudeConfig
from downstream.detector.mil_ranking import mean_over_pairs
from downstream.detector.topk_bce import bag_cross_entropy


def feature_magnitude(bags: Bags, config: FeatureMagnitudeConfig) -> tuple[Tensor, LossParts]:
    """`alpha * mean over pairs of (|margin - m_abnormal| + m_normal)^2` + cross-entropy of the bags' scores.

    m: mean L2 length of the k longest feature vectors of a bag; the bag's score: the mean score of those same
    instances. [paper] Robust Temporal Feature Magnitude Learning (Tian 2021): top 3 by magnitude, margin 100, weight
    1e-4, the squared form of the margin term. [ours] every abnormal/normal pair of the batch instead of one to one; no
    dropout on the choice of instances; its smoothness and sparsity are terms of their own here. Without an abnormal or
    a normal bag the margin term is 0. Parts: the two summands.
    """
    lengths = torch.linalg.vector_norm(bags.features, dim=-1)
    chosen = top_mask(lengths, bags.mask, num_top(bags.mask, config.k))
    magnitudes = bag_means(lengths, chosen)
    distance = (config.margin - magnitudes).abs().unsqueeze(1) + magnitudes.unsqueeze(0)
    magnitude = config.alpha * mean_over_pairs(distance.square(), bags.abnormal)
    entropy = bag_cross_entropy(bags, chosen).mean()
    return magnitude + entropy, {"magnitude": magnitude.detach(), "bce": entropy.detach()}
