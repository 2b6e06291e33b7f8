"""Temporal smoothness: within an abnormal video, neighbouring snippets score alike; of cells, each one over time."""

from __future__ import annotations

from torch import Tensor

from downstream.detector.bags import Bags, LossParts, mean_over_abnormal
from downstream.detector.loss_config import SmoothnessConfig


def smoothness(bags: Bags, config: SmoothnessConfig) -> tuple[Tensor, LossParts]:
    """Sum over neighbours of the squared difference of scores, mean over abnormal bags; not yet times `weight`.

    [paper] Sultani 2018: the sum, on abnormal bags alone. [ours] the mean over bags, so that the batch size does not
    change the weight's meaning. Instances must stand in order of time. Two videos are never neighbours, an instance
    and padding neither, nor two cells; without an abnormal bag the term is 0.
    """
    scores, next_snippet = bags.scores, bags.cells
    neighbours = bags.mask[:, next_snippet:] & bags.mask[:, :-next_snippet]
    changes = (scores[:, next_snippet:] - scores[:, :-next_snippet]).square()
    per_bag = (changes * neighbours).sum(dim=1)
    loss = mean_over_abnormal(per_bag, bags)
    return loss, {"smoothness": loss.detach()}
