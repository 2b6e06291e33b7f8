"""Cross-entropy of every instance with its own label: what a ceiling is trained with, and what a teacher teaches."""

from __future__ import annotations

import torch
from torch import Tensor

from downstream.detector.bags import Bags, LossParts, cross_entropy


def frame_bce(bags: Bags) -> tuple[Tensor, LossParts]:
    """Half the mean cross-entropy of the anomalous frames, and half that of the normal ones.

    `bags.instance_labels` (B, T) say which share of an instance's frames is anomalous. [ours] The label is that share,
    not a class: summed over frames that all have the score of their instance, the cross-entropy of frames is that of
    shares, exactly; and a short anomaly in a long segment, of which a threshold at a half would know nothing, counts as
    much as it lasts. The classes are balanced over the batch, as bags are; one that the batch has not adds 0. Instances
    count alike, however many frames they stand for. Parts: what either class adds to the loss.
    """
    assert bags.instance_labels is not None, "only bags of a ceiling and of self-training have them"
    share = bags.instance_labels
    anomalous = _mean(cross_entropy(bags.log_scores, torch.ones_like(share)), share, bags.mask) / 2
    normal = _mean(cross_entropy(bags.log_scores, torch.zeros_like(share)), 1 - share, bags.mask) / 2
    return anomalous + normal, {"anomalous_bce": anomalous.detach(), "normal_bce": normal.detach()}


def _mean(values: Tensor, weights: Tensor, mask: Tensor) -> Tensor:
    """Weighted mean where the mask is; 0 without weight."""
    weights, values = weights.masked_fill(~mask, 0), values.masked_fill(~mask, 0)
    total = weights.sum()
    return (values * weights).sum() / torch.where(total > 0, total, 1)
