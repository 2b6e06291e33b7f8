"""Spatial smoothness: within a snippet of an abnormal video, neighbouring cells score alike."""

from __future__ import annotations

from torch import Tensor

from downstream.detector.bags import Bags, LossParts, mean_over_abnormal, score_maps
from downstream.detector.loss_config import SpatialSmoothnessConfig


def spatial_smoothness(bags: Bags, config: SpatialSmoothnessConfig) -> tuple[Tensor, LossParts]:
    """Sum over neighbours in a row and in a column of the squared difference of scores, mean over abnormal bags.

    [ours] the counterpart in space of the smoothness of MIL ranking (Sultani 2018); not yet times `weight`. Snippets
    are never neighbours here, padding has none. Without cells, or without an abnormal bag, the term is 0.
    """
    maps = score_maps(bags)
    down = (maps[:, :, 1:] - maps[:, :, :-1]).square().sum(dim=(1, 2, 3))
    across = (maps[:, :, :, 1:] - maps[:, :, :, :-1]).square().sum(dim=(1, 2, 3))
    loss = mean_over_abnormal(down + across, bags)
    return loss, {"spatial_smoothness": loss.detach()}
