"""Whole pictures out of several stages of a network: what its last map has lost on the way is added to each vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from downstream.features.cells import find_stage, map_of_clips, off_the_way, refuse_other_shape
from pretrain.backbones import Backbone
from pretrain.errors import UserError


class StageVectors:
    """The maps of some modules, caught in one pass of the network, each as a vector (B, 2 D): `moments`. [ours]"""

    def __init__(self, backbone: Backbone, names: Sequence[str]) -> None:
        """UserError where the network has no such module, or it gives no map (B, D, T', H', W') of the picture."""
        self._backbone, self.names = backbone, tuple(names)
        self.dims = self._dry_pass()

    def run(self, clips: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The network's own map of normalised clips (B, 3, T, H, W), and the vectors of the stages."""
        caught: dict[str, object] = {}

        def keep(name: str) -> Callable[[nn.Module, object, object], None]:
            return lambda _module, _inputs, output: caught.__setitem__(name, output)

        modules = [find_stage(self._backbone, name) for name in self.names]
        handles = [module.register_forward_hook(keep(name)) for name, module in zip(self.names, modules, strict=True)]
        try:
            own: Tensor = self._backbone(clips)
        finally:
            for handle in handles:
                handle.remove()
        return own, [moments(self._map(name, caught.get(name), clips.shape[0]).float()) for name in self.names]

    def _map(self, name: str, output: object, clips: int) -> Tensor:
        if output is None:
            raise off_the_way(self._backbone, name)
        if not isinstance(output, Tensor):
            raise UserError(
                f"stage '{name}' of {self._backbone.spec.name} gives a {type(output).__name__}, no feature map: choose "
                "another stage"
            )
        feature_map = map_of_clips(output, clips)
        refuse_other_shape(self._backbone, name, feature_map.shape)
        return feature_map

    @torch.no_grad()
    def _dry_pass(self) -> tuple[int, ...]:
        clip, was_training = self._backbone.spec.clip, self._backbone.training
        device = next(self._backbone.parameters()).device
        self._backbone.eval()
        try:
            _, vectors = self.run(torch.zeros(1, 3, clip.frames, clip.height, clip.width, device=device))
        finally:
            self._backbone.train(was_training)
        return tuple(vector.shape[1] for vector in vectors)


def moments(feature_map: Tensor) -> Tensor:
    """A map (B, D, T', H', W') -> (B, 2 D): the mean, and the mean over the picture of the deviation over time."""
    return torch.cat([feature_map.mean(dim=(2, 3, 4)), deviation(feature_map)], dim=1)


def deviation(feature_map: Tensor) -> Tensor:
    """A map (B, D, T', H', W') -> (B, D): the mean over the picture of the deviation over time, 0 for one moment."""
    return feature_map.std(dim=2, correction=0).mean(dim=(2, 3))
