"""Backbone, detector and objective as one network: what trains when a detector learns straight from videos."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

import torch
from einops import reduce
from torch import Tensor, nn

from downstream.detector.bags import LossParts
from downstream.detector.objective import DetectorTraining
from downstream.features.cells import CellNetwork
from downstream.features.encoders import VideoNetwork


class VideoModel(nn.Module):
    """Backbone, detector and objective as one module: what DDP wraps, and what a training state holds."""

    def __init__(
        self, network: VideoNetwork | CellNetwork, detection: DetectorTraining, stages: Mapping[str, list[nn.Module]]
    ) -> None:
        """`stages`: those of the backbone that train, see `downstream.training.end_to_end.stages.unfreeze`."""
        super().__init__()
        self.backbone, self.detection = network.backbone, detection
        self._network = (network,)  # not a module of ours: its only weights are the backbone's
        self._trained = tuple(module for modules in stages.values() for module in modules)
        self.train()

    def train(self, mode: bool = True) -> VideoModel:
        """As ever, but frozen stages stay in evaluation mode: their running statistics do not move."""
        super().train(mode)
        self.backbone.eval()
        for module in self._trained:
            module.train(mode)
        return self

    def encode(self, clips: Tensor) -> Tensor:
        """Normalised clips float (N, clips, 3, T, H, W) -> features float32 (N, D), of cells (N, cells, D); the mean
        over a snippet's clips."""
        # autograd keeps nothing of the frozen stages: neither the clips nor their weights ask for a gradient
        with nullcontext() if self._trained else torch.no_grad():
            features = self._network[0](clips.flatten(0, 1))
        return reduce(features, "(n k) ... -> n ...", "mean", k=clips.shape[1])

    def forward(
        self, clips: Tensor, mask: Tensor, labels: Tensor, step: int, instance_labels: Tensor | None = None
    ) -> tuple[Tensor, LossParts]:
        """Clips (N, clips, 3, T, H, W) of the N snippets that `mask` (B, T) marks, labels (B,) -> loss and its parts.

        `instance_labels` (B, T): where each snippet has its own. Bags with an empty mask take no part.
        """
        encoded = self.encode(clips)
        cells = encoded.shape[1] if encoded.ndim == 3 else 1
        mask = mask.repeat_interleave(cells, dim=1)  # a snippet's cells are there, or padding, together
        features = encoded.new_zeros(*mask.shape, encoded.shape[-1])
        features = features.masked_scatter(mask.unsqueeze(2), encoded.flatten(0, -2))
        read = mask.any(dim=1)
        told = None if instance_labels is None else instance_labels[read]
        loss: tuple[Tensor, LossParts] = self.detection(features[read], mask[read], labels[read], step, told)
        return loss
