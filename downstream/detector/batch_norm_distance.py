"""Base of BN-WVAD: what is normal scores nothing, and lies nearer to the mean of the batch norms than what is not."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from downstream.detector.bags import Bags, LossParts, normal_instances, num_top, top_mask
from downstream.detector.heads import BatchNormHead
from downstream.detector.loss_config import BatchNormDistanceConfig


class BatchNormDistance(nn.Module):
    """The loss of a detector's head. It does not own it: its weights appear in the detector's state only.

    [paper] BatchNorm-based Weakly Supervised Video Anomaly Detection (Zhou et al., 2023; weights, margin and ratios as
    in the authors' public code): the mean over normal bags of the L2 norm of their scores; at each batch norm a triplet
    `max(0, margin + d(normal) - d(abnormal))` with the running mean for its anchor (mean-based pull-push). Which
    snippets of abnormal bags are abnormal says `d`: the greatest of each bag, and the greatest of all abnormal bags
    together. Of normal bags those of the greatest `d`, as many in all. [ours] Every pair of them, where the published
    loss pairs one to one in the order in which they happen to stand; at least one snippet of every abnormal bag.
    """

    def __init__(self, config: BatchNormDistanceConfig, head: BatchNormHead) -> None:
        super().__init__()
        self.config = config
        self._head = (head,)  # in a tuple, so that it is not registered a second time

    def forward(self, bags: Bags) -> tuple[Tensor, LossParts]:
        """Scalar; parts: what normal scores and what distances add, 0 where the batch lacks a class."""
        assert bags.before_norms is not None, "build_detector gives the head to a detector whose base needs it"
        quiet = quiet_normals(bags)
        apart = quiet.new_zeros(())
        weights = (self.config.first_weight, self.config.second_weight)
        for weight, distances in zip(weights, self._head[0].distances(bags.before_norms), strict=True):
            abnormal = select_abnormal(distances, bags, self.config)
            normal = select_normal(distances, bags, int(abnormal.sum()))
            apart = apart + weight * mean_hinge(distances[normal] + self.config.margin, distances[abnormal])
        return quiet + apart, {"normal": quiet.detach(), "apart": apart.detach()}


def quiet_normals(bags: Bags) -> Tensor:
    """Mean over normal bags of the L2 norm of their scores; 0 without one."""
    norms = torch.linalg.vector_norm(bags.scores, dim=1)
    return norms.masked_fill(bags.abnormal, 0.0).sum() / (~bags.abnormal).sum().clamp(min=1)


def select_abnormal(distances: Tensor, bags: Bags, config: BatchNormDistanceConfig) -> Tensor:
    """bool (B, T): the farthest of each abnormal bag, and the farthest of all of them."""
    there = bags.mask & bags.abnormal.unsqueeze(1)
    wanted = (there.sum(dim=1) * config.bag_ratio).long().clamp(min=1)
    of_bags = top_mask(distances, there, wanted)
    total = there.sum().reshape(1)
    of_batch = top_mask(distances.reshape(1, -1), there.reshape(1, -1), (total * config.batch_ratio).long())
    return of_bags | of_batch.view_as(there)


def select_normal(distances: Tensor, bags: Bags, count: int) -> Tensor:
    """bool (B, T): the farthest of each normal bag, about `count` in all."""
    there = normal_instances(bags)
    each = count // max(1, int((~bags.abnormal).sum())) + 1
    return top_mask(distances, there, num_top(there, each))


def mean_hinge(near: Tensor, far: Tensor) -> Tensor:
    """Mean over all pairs of `max(0, near_i - far_j)`, without listing the pairs; 0 where there are none.

    Sorted, the `far` below `near_i` are a beginning of the list: their number and their sum say all. In double
    precision, for it is a difference of sums.
    """
    if not len(near) or not len(far):
        return 0 * (near.sum() + far.sum())
    ordered, wide = far.double().sort().values, near.double()
    below = torch.searchsorted(ordered.detach(), wide.detach())
    sums = torch.cat([ordered.new_zeros(1), ordered.cumsum(0)])
    total = (wide * below - sums[below]).sum()
    return (total / (len(near) * len(far))).to(near.dtype)
