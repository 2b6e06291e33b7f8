"""Hard instance mining (HIMS): the snippets that top-k selection leaves unused teach too."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from downstream.detector.bags import Bags, LossParts, cross_entropy, mean_of_chosen, normal_instances, num_top, top_mask
from downstream.detector.directions import Directions
from downstream.detector.loss_config import HardMiningConfig


class Selection(NamedTuple):
    """What was chosen, bool (B, T) each; no instance is in two of them, padding in none."""

    top: Tensor
    """Top k by score of abnormal bags."""
    hard_positives: Tensor
    """Of the others in abnormal bags: looks like the bag's top k, more than like a normal video."""
    easy_normals: Tensor
    """The k lowest scores of what is left of abnormal bags."""
    hard_negatives: Tensor
    """Of normal bags: the top k by score, and of the others those that look most like an anomaly."""


def hard_mining(bags: Bags, config: HardMiningConfig) -> tuple[Tensor, LossParts]:
    """Triplets on unit features + cross-entropies of the mined instances; not yet times `weight`, no warm-up in here.

    [paper] HIMS (Computer Vision and Image Understanding 257, 2025): mine cues in the instances outside the top k, to
    separate normal from abnormal better. [ours] everything else, METHODS section 2:
    triplets `max(0, margin + |a - p|^2 - |a - n|^2)` of unit vectors, mean over all (p, n) of the batch:
    a = the normal prototype, p = easy normals and hard negatives, n = top k and hard positives;
    cross-entropy of hard negatives to 0 and of hard positives to `bags.teacher_scores`. Without a teacher their own
    detached scores are the targets: that cross-entropy is their entropy and has no gradient.
    Whatever has no instances is 0, the triplets also where there is no normal bag. Time and memory of the triplets grow
    with the product of the two sets. Call it outside autocast, which would round the cosines. Parts: the three
    summands, and how many hard positives were found.
    """
    chosen = select(bags, config)
    teacher = bags.scores if bags.teacher_scores is None else bags.teacher_scores
    to_normal = cross_entropy(bags.log_scores, torch.zeros_like(bags.log_scores))
    to_teacher = cross_entropy(bags.log_scores, teacher.detach())
    triplet = config.triplet_weight * triplets(bags, chosen, config.margin)
    negatives = config.bce_weight * mean_of_chosen(to_normal, chosen.hard_negatives)
    positives = config.bce_weight * mean_of_chosen(to_teacher, chosen.hard_positives)
    parts = {
        "triplet": triplet.detach(),
        "hard_negative_bce": negatives.detach(),
        "hard_positive_bce": positives.detach(),
        "num_hard_positives": chosen.hard_positives.sum(),
    }
    return triplet + negatives + positives, parts


@torch.no_grad()
def select(bags: Bags, config: HardMiningConfig) -> Selection:
    """The instances to learn from, without gradient.

    Nearness is the cosine to a prototype, which is a mean of unit vectors. Hard positives: the `r * k` nearest to their
    own bag's top k, kept where nearer to it than to the prototype of all normal bags' instances; none without a normal
    bag. Hard negatives: the top k by score and the `r * k` nearest to the prototype of all abnormal bags' top k.
    """
    mask, normal, abnormal = bags.mask, ~bags.abnormal.unsqueeze(1), bags.abnormal.unsqueeze(1)
    k = num_top(mask, config.k)
    top = top_mask(bags.log_scores, mask, k)
    rest, units, none = mask & ~top, Directions.of(bags.features), torch.zeros_like(mask)

    positives = negatives = none
    if config.mine_abnormal:
        to_own = units.cosine(units.bag_prototypes(top))
        to_normal = units.cosine(units.batch_prototype(normal_instances(bags)))
        nearest = top_mask(to_own, rest & abnormal, config.ratio * k)
        positives = nearest & (to_own > to_normal) & normal.any()
    if config.mine_normal:
        to_abnormal = units.cosine(units.batch_prototype(top & abnormal))
        nearest = top_mask(to_abnormal, rest & normal, config.ratio * k) & abnormal.any()
        negatives = (top & normal) | nearest
    # a bag too short for all three keeps its hard positives: they are what the method is for
    easy = top_mask(-bags.log_scores, rest & abnormal & ~positives, k)
    return Selection(top & abnormal, positives, easy, negatives)


def triplets(bags: Bags, chosen: Selection, margin: float) -> Tensor:
    """Mean hinge over all pairs of a normal and an abnormal instance; 0 without pairs or without a normal bag."""
    units, in_normal = Directions.of(bags.features), normal_instances(bags)
    # |a - b|^2 = 2 - 2 cos; a feature vector of zeros lies as far as an orthogonal one
    distance = 2 - 2 * units.cosine(units.batch_prototype(in_normal))
    near = distance[chosen.easy_normals | chosen.hard_negatives]
    far = distance[chosen.top | chosen.hard_positives]
    hinge = (margin + near.unsqueeze(1) - far.unsqueeze(0)).clamp(min=0)
    return hinge.sum() / max(1, hinge.numel()) * in_normal.any()
