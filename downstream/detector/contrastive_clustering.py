"""Contrastive clustering: cluster centres attract instances of their own class and repel those of the other.

    normal videos, all snippets ---+                        +--> k-means --> centres ---+
                                   +--> project, unit length +                           +--> InfoNCE, both ways
    abnormal videos, their top-k --+                        +--> k-means --> centres ---+

[paper] (contrastive clustering and early fusion, IJCNN 2025; known to us by its abstract): the features of a cluster's
centre and of its category are positive pairs, those of the other category are negatives.
[ours] Everything else: which instances stand for a class, k-means on the batch, the centre as differentiable mean of
its members, the form of the loss, and every constant.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from downstream.detector.bags import Bags, LossParts, abnormal_instances, normal_instances
from downstream.detector.directions import unit_vectors
from downstream.detector.loss_config import ContrastiveClusteringConfig

PROJECTION_DIM = 128
"""Width of the space in which instances are compared [ours, not studied]."""
ROUNDS = 5
"""Of k-means, each batch anew [ours, not studied]."""
MAX_INSTANCES = 1024
"""Of a class in a batch, shared evenly among its videos: what bounds time and memory. The default batch, 64 bags of 32
segments and half of them normal, has exactly so many normal ones."""


class ContrastiveClustering(nn.Module):
    """The loss with its projection. Stateless otherwise: each batch makes its own centres."""

    def __init__(self, config: ContrastiveClusteringConfig, feature_dim: int) -> None:
        super().__init__()
        self.config = config
        self.projection = nn.Linear(feature_dim, PROJECTION_DIM)

    def forward(self, bags: Bags) -> tuple[Tensor, LossParts]:
        """Scalar: for each centre c with members P, and N the instances of the other class,

            -mean_c mean_{p in P} log( e^{c.p/t} / (e^{c.p/t} + sum_{n in N} e^{c.n/t}) )

        0, yet with a (zero) gradient for every parameter, where the batch lacks a class. In the precision of the
        projection's weights, also under autocast.
        """
        classes = self.project(bags, normal_instances(bags)), self.project(bags, abnormal_instances(bags))
        if not all(len(points) for points in classes):
            # Still a path to every parameter and to the features: DDP waits for the gradients of all.
            zero = 0.0 * (self.projection.weight.sum() + self.projection.bias.sum())
            zero = zero + 0.0 * bags.features.masked_fill(~bags.mask.unsqueeze(2), 0.0).sum()
            return zero, {"similarity_own": zero.detach(), "similarity_other": zero.detach()}
        normal, abnormal = classes
        of_classes = [self.centre_terms(normal, abnormal), self.centre_terms(abnormal, normal)]
        losses, counts, own, other = (torch.cat(values) for values in zip(*of_classes, strict=True))
        num_centres = (counts > 0).sum()  # duplicates can leave a centre without members: it has no loss
        parts = {
            "similarity_own": (own.sum() / num_centres).detach(),
            "similarity_other": ((other * (counts > 0)).sum() / num_centres).detach(),
        }
        return losses.sum() / num_centres, parts

    def project(self, bags: Bags, chosen: Tensor) -> Tensor:
        """(P, E): projections of unit length of at most `MAX_INSTANCES` of the chosen (B, T) instances."""
        kept = evenly_spaced(chosen, MAX_INSTANCES)
        with torch.autocast(bags.features.device.type, enabled=False):
            return unit_vectors(self.projection(bags.features[kept].to(self.projection.weight.dtype)))

    def centre_terms(self, points: Tensor, others: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of each centre of `points` (P, E), against `others` (N, E): loss, members, mean similarity to both; (K,)."""
        assigned = assign(points, self.config.clusters)
        members = functional.one_hot(assigned, min(self.config.clusters, len(points))).to(points.dtype)
        counts = members.sum(dim=0)
        weights = members / counts.clamp(min=1)
        with torch.autocast(points.device.type, enabled=False):
            centres = unit_vectors(weights.T @ points)
            own = (points * centres[assigned]).sum(dim=1)
            other = centres @ others.T
            against = torch.logsumexp(other / self.config.temperature, dim=1)
            # -log(e^a / (e^a + e^b)) = softplus(b - a): exact, and no overflow
            terms = functional.softplus(against[assigned] - own / self.config.temperature)
            return weights.T @ terms, counts, weights.T @ own, other.mean(dim=1)


def evenly_spaced(chosen: Tensor, limit: int) -> Tensor:
    """bool (B, T): of the chosen instances, an even share of `limit` per bag that has any, evenly spaced, at least one.

    A share that a short bag cannot fill is not passed on: so the choice in a bag depends on nothing but the number of
    bags, and on their order not at all.
    """
    count = chosen.sum(dim=1, keepdim=True)
    share = (limit // (count > 0).sum().clamp(min=1)).clamp(min=1)
    quota = torch.minimum(count, share)
    place = chosen.cumsum(dim=1)  # 1 for the first chosen instance of a bag
    taken = torch.div(place * quota, count.clamp(min=1), rounding_mode="floor")
    before = torch.div((place - 1) * quota, count.clamp(min=1), rounding_mode="floor")
    return chosen & (taken > before)


@torch.no_grad()
def assign(points: Tensor, clusters: int) -> Tensor:
    """int64 (P,): the cluster of each of the points (P, E) of unit length, in [0, min(clusters, P)).

    Spherical k-means from a deterministic start: the point farthest from the mean, then whichever is farthest from all
    that were taken. Clusters may end up empty, where points coincide.
    """
    clusters = min(clusters, len(points))
    with torch.autocast(points.device.type, enabled=False):
        centres = farthest_points(points, clusters)
        for _ in range(ROUNDS):
            members = functional.one_hot((points @ centres.T).argmax(dim=1), clusters).to(points.dtype)
            moved = unit_vectors(members.T @ points)
            centres = torch.where(moved.any(dim=1, keepdim=True), moved, centres)
        return (points @ centres.T).argmax(dim=1)


def farthest_points(points: Tensor, count: int) -> Tensor:
    """(count, E): the point farthest from the mean, then each time the one farthest from those taken so far.

    Distances between points of unit length fall as their cosine grows, so the least cosine is the farthest.
    """
    taken = points[(points @ points.mean(dim=0)).argmin()].unsqueeze(0)
    nearest = points @ taken[0]
    for _ in range(count - 1):
        farthest = points[nearest.argmin()]
        taken = torch.cat([taken, farthest.unsqueeze(0)])
        nearest = torch.maximum(nearest, points @ farthest)
    return taken
